"""Deformable convolution, and blocks that look at several scales with it: ASPP and its bottleneck."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from .blocks import full_precision, spatial_size
from .checking import whole

CHUNK = 2**22
"""Number of samples that inference on a CPU holds at once: 16 MB."""


class DeformConv2d(nn.Module):
    """Convolution whose taps move by learned offsets and are weighted by a learned mask, at stride 1.

    Two plain convolutions compute the offsets and the mask, 2 times a sigmoid, from the input. They start at zero, so a
    new layer is a plain convolution. It also works in half precision and under autocast: the sampling runs in float32.

    Source: Deformable ConvNets v2 (arXiv:1811.11168), through torchvision.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, which has the input's size.
        kernel_size: Odd side of the kernel; with 1, the single tap moves too.
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int = 3) -> None:
        super().__init__()
        side = whole("kernel_size", kernel_size, least=1, odd=True)
        self.padding = side // 2
        self.offset = nn.Conv2d(in_channels, 2 * side**2, side, padding=self.padding)
        self.modulator = nn.Conv2d(in_channels, side**2, side, padding=self.padding)
        for value in (*self.offset.parameters(), *self.modulator.parameters()):
            nn.init.zeros_(value)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, side, side))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as nn.Conv2d

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W), of the input's dtype."""
        offset, mask = self.offset(features), 2 * self.modulator(features).sigmoid()
        with full_precision(features, offset, mask, self.weight) as (values, offset, mask, weight):
            if _is_cpu_inference(values):
                result = _gather(values, offset, mask, weight)
            else:
                result = deform_conv2d(values, offset, weight, padding=self.padding, mask=mask)
        return result.to(features.dtype)


def _is_cpu_inference(features: Tensor) -> bool:
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    is_plain = features.device.type == "cpu" and features.dtype == torch.float32
    return is_plain and not (is_traced or torch.is_grad_enabled())


def _gather(features: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Compute the same as torchvision, whose CPU kernel has one thread, in a third of the time on one thread."""
    (height, width), (out_channels, channels, side, _) = spatial_size(features), weight.shape
    matrix = weight.permute(2, 3, 1, 0).reshape(side**2 * channels, out_channels)
    result = features.new_empty(len(features), height * width, out_channels)
    place, tap = torch.arange(height * width)[:, None], torch.arange(side**2)
    start = torch.stack([place // width + tap // side, place % width + tap % side], dim=-1) - side // 2
    pixels = max(1, CHUNK // len(matrix))
    for image, moves, factors, out in zip(features, offset, mask, result, strict=True):
        table = image.flatten(1).T.contiguous()  # (H*W, C)
        points = moves.reshape(side**2, 2, -1).permute(2, 0, 1) + start  # (H*W, taps, 2)
        parts = (tensor.split(pixels) for tensor in (points, factors.flatten(1).T, out))
        for point, factor, part in zip(*parts, strict=True):
            corners, shares = _corners(point, factor, height, width)
            sampled = F.embedding_bag(corners.view(-1, 4), table, per_sample_weights=shares.view(-1, 4), mode="sum")
            torch.mm(sampled.view(len(part), -1), matrix, out=part)
    return result.transpose(1, 2).reshape(len(features), out_channels, height, width)


def _corners(points: Tensor, factors: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the four pixels around each point (..., 2), and their bilinear weights times the factors; 0 outside."""
    first = points.floor()
    after = points - first
    rows, columns = (torch.stack([first[..., axis], first[..., axis] + 1], dim=-1) for axis in (0, 1))
    row_shares, column_shares = (torch.stack([1 - after[..., axis], after[..., axis]], dim=-1) for axis in (0, 1))
    row_shares = row_shares * ((rows >= 0) & (rows < height)) * factors[..., None]
    column_shares = column_shares * ((columns >= 0) & (columns < width))
    rows, columns = (axis.clamp(0, side - 1).nan_to_num().long() for axis, side in ((rows, height), (columns, width)))
    corners = rows[..., :, None] * width + columns[..., None, :]  # (..., 2, 2)
    return corners, row_shares[..., :, None] * column_shares[..., None, :]


class ASPP(nn.Module):
    """Convolutions of several reaches side by side, and the mean of the whole map, joined by a 1x1 convolution.

    Source: DeepLab v3 (arXiv:1706.05587); with `deformable`, as in BiRefNet (arXiv:2401.03407), whose code has two
    branches of kernel 1. Batch norm and ReLU follow each branch, and dropout of 0.5 the joint. In training, batch norm
    sees a single value per image in the branch of the mean: a batch needs two images, or batch norm frozen.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, which has the input's size.
        mid_channels: Channels of each branch.
        deformable: Whether the branches are deformable convolutions with kernels 1, 1, 3, 7, or plain ones: a kernel of
            1, and kernels of 3 with dilations 6, 12, 18.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, mid_channels: int = 256, deformable: bool = True
    ) -> None:
        super().__init__()
        convolutions: list[nn.Module]
        if deformable:
            convolutions = [DeformConv2d(in_channels, mid_channels, kernel_size=side) for side in (1, 1, 3, 7)]
        else:
            convolutions = [_conv(in_channels, mid_channels)]
            convolutions += [
                nn.Conv2d(in_channels, mid_channels, 3, padding=reach, dilation=reach, bias=False)
                for reach in (6, 12, 18)
            ]
        self.branches = nn.ModuleList(nn.Sequential(conv, *_norm_act(mid_channels)) for conv in convolutions)
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), _conv(in_channels, mid_channels), *_norm_act(mid_channels))
        self.join = nn.Sequential(_conv(5 * mid_channels, out_channels), *_norm_act(out_channels), nn.Dropout(0.5))

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        mean = self.mean(features).expand(-1, -1, *spatial_size(features))
        return cast(Tensor, self.join(torch.cat([*(branch(features) for branch in self.branches), mean], dim=1)))


class ASPPBlock(nn.Module):
    """Convolution to few channels, `ASPP` on them, and a convolution to many, without activation at the end.

    Source: the reconstruction block of BiRefNet (arXiv:2401.03407), whose published networks are not residual.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, which has the input's size.
        mid_channels: Channels between the convolutions.
        deformable: Whether the ASPP is deformable.
        residual: Whether to add the input through a 1x1 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        mid_channels: int = 64,
        deformable: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Conv2d(in_channels, mid_channels, 3, padding=1), *_norm_act(mid_channels))
        self.aspp = ASPP(mid_channels, mid_channels, deformable=deformable)
        self.exit = nn.Sequential(nn.Conv2d(mid_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels))
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if residual else None

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        result: Tensor = self.exit(self.aspp(self.entry(features)))
        return result if self.shortcut is None else result + self.shortcut(features)


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


def _norm_act(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
