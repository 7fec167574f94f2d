"""Swin transformer as detectors use it: for any image size, with a norm on every output."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from ..checking import choice, number
from ..contracts import Encoder, FeatureInfo, Features, Image
from ..preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

Variant: TypeAlias = Literal["tiny", "small", "base", "large"]
PATCH = 4


class _Size(NamedTuple):
    channels: int
    depths: tuple[int, int, int, int]
    heads: int
    window: int
    timm_name: str


SIZES: dict[str, _Size] = {
    "tiny": _Size(96, (2, 2, 6, 2), 3, 7, "swin_tiny_patch4_window7_224.ms_in22k_ft_in1k"),
    "small": _Size(96, (2, 2, 18, 2), 3, 7, "swin_small_patch4_window7_224.ms_in22k_ft_in1k"),
    "base": _Size(128, (2, 2, 18, 2), 4, 12, "swin_base_patch4_window12_384.ms_in22k_ft_in1k"),
    "large": _Size(192, (2, 2, 18, 2), 6, 12, "swin_large_patch4_window12_384.ms_in22k_ft_in1k"),
}


class SwinEncoder(Encoder):
    """Swin transformer with four features at strides 4, 8, 16, 32, for any image size.

    An image is padded with zeros to a multiple of 4 pixels, at the right and the bottom, and each stage rounds its
    sides up. Sides that are not multiples of the window (7 for tiny and small, 12 for base and large) are padded with
    zeros that take part in the attention.

    Source: Swin transformer (arXiv:2103.14030), as its authors' code for object detection applies it. Differs from
    timm's `swin_*`, which shifts before it pads, so that features differ if a side is not a multiple of the window, and
    has no norms on its outputs.

    Args:
        variant: `"tiny"`, `"small"`, `"base"` or `"large"`: 96, 96, 128 or 192 channels at stride 4.
        drop_path: Probability that training skips the last block for an image; it grows from 0 over the blocks.
        embedding: Whether to return a fifth feature before the others, also at stride 4: the embedded patches.
        pretrained: Whether to start from ImageNet weights, which timm downloads. The output norms are new.
    """

    preprocessing = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)

    def __init__(
        self,
        variant: Variant = "tiny",
        *,
        drop_path: float = 0.2,
        embedding: bool = False,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        size = SIZES[choice("variant", variant, get_args(Variant))]
        self.window = size.window
        channels = [size.channels * 2**stage for stage in range(4)]
        strides = [PATCH * 2**stage for stage in range(4)]
        self.embedding = embedding
        first = 0 if embedding else 1
        self.feature_info = FeatureInfo([channels[0], *channels][first:], [PATCH, *strides][first:])
        self.embed = nn.Conv2d(3, channels[0], kernel_size=PATCH, stride=PATCH)
        self.embed_norm = nn.LayerNorm(channels[0])
        last = sum(size.depths) - 1
        rates = [number("drop_path", drop_path) * block / last for block in range(last + 1)]
        self.stages = nn.ModuleList(
            nn.ModuleList(
                SwinBlock(
                    width,
                    heads=size.heads * 2**stage,
                    window=size.window,
                    shifted=block % 2 == 1,
                    drop_path=rates.pop(0),
                )
                for block in range(depth)
            )
            for stage, (width, depth) in enumerate(zip(channels, size.depths, strict=True))
        )
        self.merges = nn.ModuleList(_Merge(width) for width in channels[:-1])
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in channels)
        self.apply(_initialize)
        if pretrained:
            self.load_state_dict(_pretrained(size.timm_name), strict=False)

    def forward(self, image: Image) -> Features:
        """(B, 3, H, W) -> the features, each side rounded up."""
        height, width = image.shape[-2:]
        image = F.pad(image, (0, -width % PATCH, 0, -height % PATCH))
        tokens = self.embed_norm(self.embed(image).permute(0, 2, 3, 1))  # (B, h, w, C)
        features = [tokens.permute(0, 3, 1, 2).contiguous()] if self.embedding else []
        for index, (blocks, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            if index:
                tokens = self.merges[index - 1](tokens)
            mask = shift_mask(tokens, self.window)
            for block in cast(nn.ModuleList, blocks):
                tokens = block(tokens, mask)
            features.append(norm(tokens).permute(0, 3, 1, 2).contiguous())
        return tuple(features)


class SwinBlock(nn.Module):
    """Attention inside windows, then a perceptron, both added to their input.

    Args:
        channels: Channels of input and output.
        heads: Number of attention heads.
        window: Side of a window, in tokens.
        shifted: Whether to shift the windows by half of their side.
        drop_path: Probability of skipping either half for an image, in training.
    """

    def __init__(self, channels: int, *, heads: int, window: int, shifted: bool, drop_path: float) -> None:
        super().__init__()
        self.window = window
        self.shift = window // 2 if shifted else 0
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads=heads, window=window)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, H, W, C), and the mask of shifted windows (windows, N, N) -> (B, H, W, C)."""
        tokens = tokens + self.drop_path(self._attend(self.attention_norm(tokens), mask))
        return tokens + self.drop_path(self.mlp(self.mlp_norm(tokens)))

    def _attend(self, tokens: Tensor, mask: Tensor) -> Tensor:
        batch, height, width, channels = tokens.shape
        side, shift = self.window, self.shift
        tokens = F.pad(tokens, (0, 0, 0, -width % side, 0, -height % side))
        if shift:
            tokens = tokens.roll((-shift, -shift), (1, 2))
        rows, columns = tokens.shape[1] // side, tokens.shape[2] // side
        windows = tokens.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
        windows = windows.reshape(batch, rows * columns, side * side, channels)  # (B, windows, N, C)
        windows = self.attention(windows, mask if shift else None)
        tokens = windows.reshape(batch, rows, columns, side, side, channels).transpose(2, 3)
        tokens = tokens.reshape(batch, rows * side, columns * side, channels)
        if shift:
            tokens = tokens.roll((shift, shift), (1, 2))
        return tokens[:, :height, :width]


class WindowAttention(nn.Module):
    """Multi-head attention between the tokens of a window, with a learned bias for each relative position.

    Args:
        channels: Channels of input and output.
        heads: Number of heads, a divisor of `channels`.
        window: Side of a window, in tokens.
    """

    index: Tensor

    def __init__(self, channels: int, *, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("index", _relative_positions(window), persistent=False)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """(B, windows, N, C) -> the same shape; the mask (windows, N, N) is added to the attention."""
        batch, count, area, channels = windows.shape
        qkv = self.qkv(windows).reshape(batch, count, area, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5)  # (B, windows, heads, N, C / heads) each
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)  # (heads, N, N)
        if mask is not None:
            bias = bias + mask[:, None]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.proj(attended.transpose(2, 3).reshape(batch, count, area, channels))


class _Merge(nn.Module):
    """Four neighbors joined and projected to twice the channels; odd sides are padded with zeros."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H / 2, W / 2, 2 C), each side rounded up."""
        height, width = tokens.shape[1:3]
        tokens = F.pad(tokens, (0, 0, 0, width % 2, 0, height % 2))
        corners = [tokens[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return merged


def shift_mask(tokens: Tensor, window: int) -> Tensor:
    """Return what keeps tokens of different image regions apart that a shift brings into one window.

    Args:
        tokens: Tokens (B, H, W, C), not yet padded to whole windows.
        window: Side of a window; the shift is half of it.

    Returns:
        0 or minus infinity, (windows, N, N).
    """
    labels = []
    for side in tokens.shape[1:3]:
        padded = side + -side % window
        place = torch.arange(padded, device=tokens.device)
        labels.append((place >= padded - window).int() + (place >= padded - window // 2).int())
    regions = 3 * labels[0][:, None] + labels[1]  # (H, W): nine regions
    rows, columns = regions.shape[0] // window, regions.shape[1] // window
    regions = regions.reshape(rows, window, columns, window).transpose(1, 2).reshape(rows * columns, window**2)
    apart = regions[:, :, None] != regions[:, None, :]
    return torch.zeros_like(apart, dtype=tokens.dtype).masked_fill(apart, float("-inf"))


def _relative_positions(window: int) -> Tensor:
    """Return the row of the bias table for each pair of query and key, (N, N)."""
    row = torch.arange(window).repeat_interleave(window)
    column = torch.arange(window).repeat(window)
    return (row[:, None] - row + window - 1) * (2 * window - 1) + column[:, None] - column + window - 1


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _pretrained(name: str) -> dict[str, Tensor]:
    """Return timm's weights of a Swin transformer."""
    import timm

    return from_classifier(timm.create_model(name, pretrained=True).state_dict())


def from_classifier(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of timm's or Microsoft's classifier under the names of `SwinEncoder`, without its last norm.

    Args:
        state: The classifier's state dict. timm joins neighbors at the start of a stage, Microsoft at the end of the
            one before.
    """
    is_timm = "layers.3.downsample.reduction.weight" in state
    parts = {
        "norm1": "attention_norm",
        "attn": "attention",
        "norm2": "mlp_norm",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.2",
    }
    named = {}
    for key, value in state.items():
        ours = key.replace("patch_embed.proj", "embed").replace("patch_embed.norm", "embed_norm")
        if key.startswith("layers."):
            _, stage, part, *rest = key.split(".")
            if part == "downsample":
                ours = ".".join(["merges", str(int(stage) - is_timm), *rest])
            else:
                block, inner = rest[0], ".".join(rest[1:])
                theirs = next((part for part in parts if inner.startswith(part)), inner)
                ours = f"stages.{stage}.{block}.{parts.get(theirs, theirs)}{inner[len(theirs) :]}"
        if ours.startswith(("embed", "stages", "merges")) and not ours.endswith(
            ("relative_position_index", "attn_mask")
        ):
            named[ours] = value
    return named
