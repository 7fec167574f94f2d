"""Layers that several folders use: convolution blocks, residual U-blocks, heads, resizing, the edge of a mask."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .contracts import Decoder, FeatureInfo, Features, Heads, Image, Logits, Mask, Model, Prediction

M = TypeVar("M", bound=nn.Module)


def resize(features: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize (B, C, h, w) bilinearly to `size`, (height, width).

    Never compares sizes first: a comparison would be frozen into an exported graph.
    """
    resized = F.interpolate(features, size, mode="bilinear", align_corners=align_corners)
    learns = resized.requires_grad and not torch.compiler.is_compiling()
    if learns and resized.is_contiguous(memory_format=torch.channels_last):
        resized.register_hook(_channels_last)
    return resized


def _channels_last(gradient: Tensor) -> Tensor:
    """In one piece: of a slice, such as `torch.cat` hands back, PyTorch's CPU kernel is many times slower."""
    return gradient.contiguous(memory_format=torch.channels_last)


def spatial_size(tensor: Tensor) -> tuple[int, int]:
    """Height and width of a (B, C, H, W) tensor."""
    return cast("tuple[int, int]", tensor.shape[-2:])  # in quotes for torch 2.6, which exports no generic alias


@contextmanager
def full_precision(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Leave autocast and raise half precision to float32; float64 stays float64.

    All tensors get the first one's precision, so that a float32 mask meets float64 logits.
    """
    dtype = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    with torch.autocast(tensors[0].device.type, enabled=False):
        yield tuple(tensor.to(dtype) for tensor in tensors)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while; each of its modules then returns to its own mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def outline(model: M) -> M:
    """Copy a model without its weights, in eval mode; on the meta device a forward pass costs next to nothing."""
    memo: dict[int, object] = {id(value): nn.Parameter(value.to("meta"), False) for value in model.parameters()}
    memo |= {id(value): value.to("meta") for value in model.buffers()}
    return copy.deepcopy(model, memo).eval()


def blank_image(model: Model) -> Image:
    """What a model takes, of its own size or else 64 pixels, on the meta device: for its `outline`."""
    size = model.preprocessing.size or 64
    return torch.zeros(1, model.preprocessing.channels, size, size, device="meta")


def edge_band(mask: Mask, width: int = 3) -> Mask:
    """Mark the pixels around the border between foreground and background: dilation minus erosion.

    The mask is cut at 0.5 first. The window is `width` by `width` pixels, so 3 marks the pixel on either side of
    the border, 5 two on either side. What lies outside of the image counts as neither.

    Args:
        mask: (B, 1, H, W) in [0, 1].
        width: Side of the window of dilation and erosion, in pixels; odd, at least 3.

    Returns:
        (B, 1, H, W) of zeros and ones, in the mask's type.
    """
    hard = (mask > 0.5).to(mask.dtype)
    dilated = F.max_pool2d(hard, width, stride=1, padding=width // 2)
    eroded = -F.max_pool2d(-hard, width, stride=1, padding=width // 2)
    return dilated - eroded


def mask_edges(mask: Mask, *, threshold: float = 128 / 255) -> Mask:
    """Mark the pixels where a mask's gradient is not zero: both sides of each border, about 2 pixels wide.

    The edge label of EGNet (arXiv:1908.08297): the mask is cut at `threshold` first, the gradient is the central
    difference, one-sided at the image's border.

    Args:
        mask: (B, 1, H, W) in [0, 1].
        threshold: Values above it are foreground.

    Returns:
        (B, 1, H, W) of zeros and ones, in the mask's type.
    """
    hard = (mask > threshold).float()
    padded = F.pad(hard, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] != padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] != padded[..., :-2, 1:-1]
    return (across | down).to(mask.dtype)


class ConvNormAct(nn.Sequential):
    """Convolution with bias, batch norm, ReLU; keeps the size at stride 1, rounds it up otherwise.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd side of the kernel.
        stride: Stride of the convolution.
        dilation: Distance between the kernel's taps, in pixels.
    """

    conv: nn.Conv2d
    norm: nn.BatchNorm2d

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True)


class RSU(nn.Module):
    """Residual U-block: a small U-Net whose output is added to its own input convolution.

    Source: U²-Net (arXiv:2005.09007), figure 2 and table 1, as in its published code: max pooling rounds sizes
    up, upsampling is bilinear to the skip's size, and there is no ReLU after the sum.

    Args:
        in_channels: Channels of the input.
        mid_channels: Channels inside the U.
        out_channels: Channels of the output, which has the input's size.
        depth: Convolutions on the way down, the dilated one at the bottom included: 7 for RSU-7.
        dilated: Use dilations 1, 2, 4, ... in place of pooling: RSU-4F is `depth=4, dilated=True`.

    Raises:
        ValueError: A depth below 2.
    """

    def __init__(
        self, in_channels: int, mid_channels: int, out_channels: int, *, depth: int, dilated: bool = False
    ) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"an RSU needs a depth of 2 or more; got {depth}")
        self.dilated = dilated
        down = [2**level if dilated else 1 for level in range(depth - 1)]
        bottom = 2 ** (depth - 1) if dilated else 2
        self.entry = ConvNormAct(in_channels, out_channels)
        self.down = nn.ModuleList(
            ConvNormAct(mid_channels if level else out_channels, mid_channels, dilation=dilation)
            for level, dilation in enumerate([*down, bottom])
        )
        self.up = nn.ModuleList(
            ConvNormAct(2 * mid_channels, mid_channels if level else out_channels, dilation=dilation)
            for level, dilation in enumerate(down)
        )
        self.pool = nn.Identity() if dilated else nn.MaxPool2d(2, stride=2, ceil_mode=True)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        entry = self.entry(features)
        skips = [self.down[0](entry)]
        for block in self.down[1:-1]:
            skips.append(block(self.pool(skips[-1])))
        inner = self.up[-1](torch.cat([self.down[-1](skips[-1]), skips[-1]], dim=1))
        for block, skip in zip(self.up[-2::-1], skips[-2::-1], strict=True):
            inner = inner if self.dilated else resize(inner, spatial_size(skip))
            inner = block(torch.cat([inner, skip], dim=1))
        return cast(Tensor, inner + entry)


def rsu_stage(in_channels: int, mid_channels: int, out_channels: int, *, index: int) -> RSU:
    """Make the RSU that U²-Net and IS-Net use at stage `index`, 0 being the finest.

    Depth 7, 6, 5, 4, and from the fifth stage on 4 with dilations in place of pooling (U²-Net, table 1).
    """
    return RSU(in_channels, mid_channels, out_channels, depth=max(7 - index, 4), dilated=index > 3)


class SideHeads(Heads):
    """One 3x3 convolution per feature; the finest gives the answer, the others side logits at their own sizes.

    Source: IS-Net (arXiv:2203.03041), whose answer is the finest map. Differs from the published code in
    returning logits, and side logits before they are resized.

    Args:
        feature_info: The features that come in.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.sides = nn.ModuleList(
            nn.Conv2d(channels, 1, kernel_size=3, padding=1) for channels in feature_info.channels
        )

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Side logits for every feature."""
        answer, *side_logits = (side(feature) for side, feature in zip(self.sides, features, strict=True))
        return Prediction(resize(answer, size), tuple(side_logits), features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The finest map alone."""
        return resize(self.sides[0](features[0]), size)


class FusedHeads(Heads):
    """One 3x3 convolution per feature and a 1x1 convolution over all their maps, which gives the answer.

    Source: U²-Net (arXiv:2005.09007), section 3.2. The maps are fused at the image's size; each is a side logit
    as well, at its own size.

    Args:
        feature_info: The features that come in.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.sides = nn.ModuleList(
            nn.Conv2d(channels, 1, kernel_size=3, padding=1) for channels in feature_info.channels
        )
        self.fuse = nn.Conv2d(len(feature_info.channels), 1, kernel_size=1)

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Side logits for every feature, and their fusion."""
        side_logits = tuple(side(feature) for side, feature in zip(self.sides, features, strict=True))
        fused = self.fuse(torch.cat([resize(logits, size) for logits in side_logits], dim=1))
        return Prediction(fused, side_logits, features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The fused map alone."""
        return self(features, size).logits


class RefinedHeads(Heads):
    """Heads behind a decoder of their own; the prediction keeps the features from before it.

    So intermediate supervision sees the raw features, and the logits come from the refined ones.

    Args:
        refine: Decoder that the features pass on their way to the heads.
        heads: Heads built for `refine.feature_info`.
    """

    def __init__(self, refine: Decoder, heads: Heads) -> None:
        super().__init__()
        self.refine = refine
        self.heads = heads

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """The heads' prediction on refined features, with the raw ones in it."""
        prediction: Prediction = self.heads(self.refine(features), size)
        return prediction._replace(features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The heads' answer on refined features."""
        return self.heads.logits(self.refine(features), size)
