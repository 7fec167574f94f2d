"""Attention blocks of InSPyReNet: along the axes of a map, and to the object and its background."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import full_precision, resize, spatial_size

Axis: TypeAlias = Literal["height", "width"]


class ConvNorm(nn.Module):
    """Convolution without bias that keeps the size, batch norm, and ReLU if asked for.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd height and width of the kernel.
        dilation: Distance between the kernel's taps, in pixels.
        relu: Whether a ReLU follows.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: tuple[int, int] = (3, 3),
        dilation: int = 1,
        relu: bool = False,
    ) -> None:
        super().__init__()
        height, width = kernel_size
        padding = (height // 2 * dilation, width // 2 * dilation)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True) if relu else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        output: Tensor = self.act(self.norm(self.conv(features)))
        return output


class LineAttention(nn.Module):
    """Self-attention between the positions of a line, one attention for all lines of an image; added to its input.

    Features are cut into lines in the order of memory, as in the published code: `"width"` takes rows; `"height"` takes
    pieces of rows that are as long as a column, so that for a square map both do the same. Logits sum over all lines
    and are not scaled, so they are computed in float32.

    Source: InSPyReNet (arXiv:2209.09475), as in its code.

    Args:
        channels: Channels of input and output.
        axis: Side of the map that is the length of a line.
    """

    def __init__(self, channels: int, *, axis: Axis) -> None:
        super().__init__()
        self.axis = axis
        inner = max(channels // 8, 1)
        self.query = ConvNorm(channels, inner, kernel_size=(1, 1))
        self.key = ConvNorm(channels, inner, kernel_size=(1, 1))
        self.value = ConvNorm(channels, channels, kernel_size=(1, 1))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch = features.shape[0]
        length = features.shape[2 if self.axis == "height" else 3]
        projected = (layer(features).reshape(batch, -1, length) for layer in (self.query, self.key, self.value))
        with full_precision(*projected) as (query, key, value):  # (B, C * lines, length)
            attention = (query.transpose(1, 2) @ key).softmax(dim=-1)  # (B, length, length)
            attended = value @ attention.transpose(1, 2)
        return (self.gamma * attended.reshape(features.shape)).to(features.dtype) + features


class AxialAttention(nn.Module):
    """Sum of two `LineAttention` blocks.

    Args:
        channels: Channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.height = LineAttention(channels, axis="height")
        self.width = LineAttention(channels, axis="width")

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        summed: Tensor = self.height(features) + self.width(features)
        return summed


class AxialContext(nn.Module):
    """Branches with fields of view of 1, 3, 5 and 7 pixels, the latter three with attention, joined.

    Source: InSPyReNet (arXiv:2209.09475), the encoder's parallel axial attention, as in its code.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.point = ConvNorm(in_channels, out_channels, kernel_size=(1, 1))
        self.branches = nn.ModuleList(
            nn.Sequential(
                ConvNorm(in_channels, out_channels, kernel_size=(1, 1)),
                ConvNorm(out_channels, out_channels, kernel_size=(1, side)),
                ConvNorm(out_channels, out_channels, kernel_size=(side, 1)),
                AxialAttention(out_channels),
                ConvNorm(out_channels, out_channels, dilation=side),
            )
            for side in (3, 5, 7)
        )
        self.join = ConvNorm(4 * out_channels, out_channels)
        self.shortcut = ConvNorm(in_channels, out_channels, kernel_size=(1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        branches = [self.point(features), *(branch(features) for branch in self.branches)]
        return F.relu(self.join(torch.cat(branches, dim=1)) + self.shortcut(features))


class ObjectContext(nn.Module):
    """Attention of each pixel to the mean features of the object, the background and the uncertain region.

    A map of logits defines these regions. A Laplacian map, if given, adds the regions whose logits it raises or
    lowers. Returns features and the Laplacian map of the next finer level.

    Sums over a map of `size` are not divided by its area, so trained weights fit the size that they were trained with,
    whatever the size of the features. They are computed in float32.

    Source: InSPyReNet (arXiv:2209.09475), scale-invariant context attention (SICA), as in its code, which reads
    features as (pixels, channels) in the order of memory instead of transposing them.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        size: Height and width to which features and maps are resized for the sums.
        detail: Whether a Laplacian map is given.
    """

    def __init__(self, in_channels: int, out_channels: int, *, size: tuple[int, int], detail: bool) -> None:
        super().__init__()
        self.size = size
        self.threshold = nn.Parameter(torch.full((1,), 0.5))
        if detail:
            self.lthreshold = nn.Parameter(torch.full((1,), 0.5))
        self.query = nn.Sequential(
            ConvNorm(in_channels, out_channels, relu=True), ConvNorm(out_channels, out_channels, relu=True)
        )
        self.key, self.value = (
            nn.Sequential(
                ConvNorm(in_channels, out_channels, kernel_size=(1, 1), relu=True),
                ConvNorm(out_channels, out_channels, kernel_size=(1, 1), relu=True),
            )
            for _ in range(2)
        )
        self.attended = ConvNorm(out_channels, out_channels, relu=True)
        self.join = nn.Sequential(
            ConvNorm(in_channels + out_channels, out_channels, relu=True),
            ConvNorm(out_channels, out_channels, relu=True),
        )
        self.laplacian = ConvNorm(out_channels, 1, kernel_size=(1, 1))

    def forward(self, features: Tensor, logits: Tensor, detail: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, in, H, W), and maps (B, 1, h, w) -> features (B, out, H, W) and a Laplacian map (B, 1, H, W)."""
        key, value = self._context(features, self._regions(logits, detail, spatial_size(features)))
        query = self.query(features)
        attended = F.scaled_dot_product_attention(query.flatten(2).transpose(1, 2), key, value)  # (B, H * W, out)
        attended = self.attended(attended.transpose(1, 2).reshape(query.shape))
        output = self.join(torch.cat([features, attended], dim=1))
        return output, self.laplacian(output)

    def _regions(self, logits: Tensor, detail: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Return soft maps of three regions, or five with a detail, (B, regions, h, w) of `self.size`."""
        inside = resize(logits, size).sigmoid() - self.threshold
        regions = [inside.clamp(0, 1), (-inside).clamp(0, 1), self.threshold - inside.abs()]
        if detail is not None:
            raised = resize(detail, size).sigmoid() - self.lthreshold
            regions += [raised.clamp(0, 1), (-raised).clamp(0, 1)]
        return resize(torch.cat(regions, dim=1), self.size)

    def _context(self, features: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of the regions, (B, regions, out)."""
        batch, channels = features.shape[:2]
        dtype = next(self.key.parameters()).dtype
        with full_precision(resize(features, self.size), regions) as (features, regions):
            pixels = features.reshape(batch, -1, channels)  # (B, N, C), not transposed
            context = (regions.flatten(2) @ pixels).to(dtype)  # (B, regions, C)
            context = context.transpose(1, 2)[..., None]
            key, value = (layer(context)[..., 0].transpose(1, 2) for layer in (self.key, self.value))
        return key, value
