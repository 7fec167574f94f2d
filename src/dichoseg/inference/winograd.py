"""3x3 convolutions by Winograd's method, the fastest way on CPUs with AVX2 and without wider vectors."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from ..blocks import spatial_size
from ..contracts import Model
from ..runtime.device import is_avx2_cpu

SIDE = 4
"""Side of a tile of the output, which is computed from an overlapping tile of the input of side 6."""
TILES = 256
"""Tiles at once. Fewer read the kernels more often, more leave the CPU's caches."""
MIN_CHANNELS = 64
"""Smallest number of channels, of input and output; with fewer, transforming the tiles takes what the products save."""
MIN_PIXELS = 32 * 32
"""Smallest image. In smaller ones, transforming the kernels takes what the products save."""


def _both(rows: list[list[int]], divisor: int = 1) -> Tensor:
    """Return the transform of both dimensions at once, by that of one dimension."""
    one = torch.tensor(rows, dtype=torch.float32, device="cpu") / divisor
    return torch.kron(one, one)


# Transforms of the input, the kernel and the output (arXiv:1509.09308, section 4.3)
_INPUT = _both(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
    + [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
)
_KERNEL = _both([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], divisor=24)
_OUTPUT = _both([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
_OUTPUT = torch.cat([_OUTPUT, _OUTPUT.new_ones(SIDE**2, 1)], dim=1)  # adds the bias


def use_winograd(model: Model) -> None:
    """Replace the convolutions of a model for which Winograd's method is faster here, in place.

    Nothing is replaced on a GPU, in half precision, or on CPUs with other vectors than AVX2, where it was not measured.
    """
    first = next(model.parameters())
    if first.dtype != torch.float32 or not is_avx2_cpu(first.device) or not torch.backends.mkl.is_available():
        return
    for module in model.modules():
        if _is_suitable(module):
            module.__class__ = WinogradConv2d


def _is_suitable(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
        and module.padding == (1, 1)
        and module.padding_mode == "zeros"
        and module.groups == 1
        and min(module.in_channels, module.out_channels) >= MIN_CHANNELS
    )


class WinogradConv2d(nn.Conv2d):
    """Convolution that computes large images by Winograd's method; for inference."""

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features (B, C, H, W)."""
        height, width = spatial_size(features)
        learns = features.requires_grad and torch.is_grad_enabled()
        if height * width < MIN_PIXELS or learns or torch.compiler.is_compiling():
            return super().forward(features)
        return winograd_conv2d(features, self.weight, self.bias)


def winograd_conv2d(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with 3x3 kernels at stride 1, zero-padded to keep the size, with a quarter of the multiplications.

    Results differ from those of `torch.nn.functional.conv2d` by the rounding of float32: by about 1e-5 of their range.

    Source: Lavin and Gray (arXiv:1509.09308), F(4x4, 3x3). Differs: both dimensions are transformed in one product.

    Args:
        features: Input, (B, C, H, W), float32, on the CPU; fastest in channels-last layout.
        weight: Kernels, (O, C, 3, 3).
        bias: Bias, (O,).

    Returns:
        Output, (B, O, H, W), in channels-last layout.
    """
    (height, width), channels, out_channels = spatial_size(features), weight.shape[1], weight.shape[0]
    rows, columns = -(-height // SIDE), -(-width // SIDE)  # of tiles
    strip = min(rows, max(1, TILES // columns))
    count = strip * columns
    kernels = (_KERNEL @ weight.permute(0, 2, 3, 1).reshape(out_channels, 9, channels)).permute(1, 2, 0)

    # Buffers of one strip of tiles, which stay in the CPU's cache
    padded = features.new_zeros(SIDE * strip + 2, SIDE * columns + 2, channels)
    row, column, _ = padded.stride()
    windows = padded.as_strided((strip, columns, 6, 6, channels), (SIDE * row, SIDE * column, row, column, 1))
    tiles = features.new_empty(count, 36, channels)
    transformed = torch.empty_like(tiles)
    products = features.new_empty(37, count, out_channels)
    products[36] = 0 if bias is None else bias
    results = features.new_empty(count, SIDE**2, out_channels)

    output = features.new_empty(len(features), SIDE * rows, SIDE * columns, out_channels)
    output_tiles = output.view(-1, rows, SIDE, columns, SIDE, out_channels).transpose(2, 3)
    for image, image_tiles in zip(features.permute(0, 2, 3, 1), output_tiles, strict=True):
        for start in range(0, rows, strip):
            first = min(start, rows - strip)  # the last strip overlaps the one before
            top, bottom = max(SIDE * first - 1, 0), min(SIDE * (first + strip) + 1, height)
            above = top - (SIDE * first - 1)
            padded[:above] = 0
            padded[above : above + bottom - top, 1 : width + 1] = image[top:bottom]
            padded[above + bottom - top :] = 0
            tiles.view(windows.shape).copy_(windows)
            torch.bmm(_INPUT.expand(count, 36, 36), tiles, out=transformed)
            torch.bmm(transformed.transpose(0, 1), kernels, out=products[:36])
            torch.bmm(_OUTPUT.expand(count, SIDE**2, 37), products.transpose(0, 1), out=results)
            image_tiles[first : first + strip] = results.view(strip, columns, SIDE, SIDE, out_channels)
    return output[:, :height, :width].permute(0, 3, 1, 2)
