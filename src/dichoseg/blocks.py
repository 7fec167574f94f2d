"""Layers that several packages share: convolution blocks, residual U-blocks, resizing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._lazy import attach
from .checking import whole

PatchOrder: TypeAlias = Literal["rows", "columns"]


def resize(features: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Resize (B, C, h, w) bilinearly to `size`, (height, width).

    Sizes are never compared first, because an exported graph would freeze the comparison.
    """
    resized = F.interpolate(features, size, mode="bilinear", align_corners=align_corners)
    learns = resized.requires_grad and not torch.compiler.is_compiling()
    if learns and resized.is_contiguous(memory_format=torch.channels_last):
        resized.register_hook(_channels_last)
    return resized


def _channels_last(gradient: Tensor) -> Tensor:
    """Copy a gradient if it is a slice, as from `torch.cat`, for which PyTorch's CPU kernel is many times slower."""
    return gradient.contiguous(memory_format=torch.channels_last)


def window_mean(maps: Tensor, height: int, width: int) -> Tensor:
    """Average (..., C, H, W) over a window of odd sides around each pixel, without pixels outside of the image."""
    # rows, then columns: height + width additions per pixel; windows that are cut off stay rectangles
    rows = F.avg_pool2d(maps, (1, width), stride=1, padding=(0, width // 2), count_include_pad=False)
    return F.avg_pool2d(rows, (height, 1), stride=1, padding=(height // 2, 0), count_include_pad=False)


def patch_stack(image: Tensor, grid: tuple[int, int], *, order: PatchOrder = "rows") -> Tensor:
    """Cut an image into a grid of patches, and stack them as channels.

    Args:
        image: Image (B, C, H, W) whose sides the grid divides.
        grid: Number of patches: rows, columns.
        order: Order of the channels: `"rows"` is color, row, column, the last fastest; `"columns"` is column, row,
            color.

    Returns:
        Patches (B, C * rows * columns, H / rows, W / columns).
    """
    (batch, colors), (height, width), (rows, columns) = image.shape[:2], spatial_size(image), grid
    patches = image.reshape(batch, colors, rows, height // rows, columns, width // columns)
    patches = patches.permute((0, 1, 2, 4, 3, 5) if order == "rows" else (0, 4, 2, 1, 3, 5))
    return patches.reshape(batch, colors * rows * columns, height // rows, width // columns)


def spatial_size(tensor: Tensor) -> tuple[int, int]:
    """Return the height and width of a (B, C, H, W) tensor."""
    return cast("tuple[int, int]", tensor.shape[-2:])  # quoted, since torch 2.6 cannot export a generic alias


@contextmanager
def full_precision(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Leave autocast and raise half precision to float32; float64 stays float64.

    All tensors get the precision of the first, so that a float32 mask matches float64 logits.
    """
    if not isinstance(tensors[0], Tensor):
        raise TypeError(f"wanted a tensor, such as the logits of a prediction; got {type(tensors[0]).__name__}")
    dtype = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    device = tensors[0].device.type
    has_autocast = torch.amp.is_autocast_available(device)  # not on meta
    with torch.autocast(device, enabled=False) if has_autocast else nullcontext():
        yield tuple(tensor.to(dtype) for tensor in tensors)


class ConvNormAct(nn.Sequential):
    """Convolution with bias, batch norm and ReLU; sizes are kept at stride 1 and rounded up otherwise.

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
    up, upsampling is bilinear to the skip's size, and the sum has no ReLU after it.

    Args:
        in_channels: Channels of the input.
        mid_channels: Channels inside the U.
        out_channels: Channels of the output, which has the input's size.
        depth: Number of convolutions on the way down, including the dilated one at the bottom: 7 for RSU-7.
        dilated: Whether to use dilations 1, 2, 4, ... instead of pooling: RSU-4F is `depth=4, dilated=True`.
    """

    def __init__(
        self, in_channels: int, mid_channels: int, out_channels: int, *, depth: int, dilated: bool = False
    ) -> None:
        super().__init__()
        whole("depth", depth, least=2)
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
    """Make the RSU that U²-Net and IS-Net use at stage `index`; 0 is the finest.

    Depth 7, 6, 5, 4, and from the fifth stage on 4 with dilations instead of pooling (U²-Net, table 1).
    """
    return RSU(in_channels, mid_channels, out_channels, depth=max(7 - index, 4), dilated=index > 3)


__getattr__, __dir__ = attach(
    __name__, moved={"heads": "FusedHeads RefinedHeads SideHeads", "masks": "edge_band mask_edges"}
)
