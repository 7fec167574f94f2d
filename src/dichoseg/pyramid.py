"""Image pyramids: maps at halved sizes, and the detail between them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .blocks import full_precision, resize, spatial_size

_RADIUS = 3
_WEIGHTS = [math.exp(-(offset**2) / 2) for offset in range(-_RADIUS, _RADIUS + 1)]
_KERNEL = [[row * column / sum(_WEIGHTS) ** 2 for column in _WEIGHTS] for row in _WEIGHTS]


def reduce(maps: Tensor) -> Tensor:
    """Blur maps (B, C, H, W) and take every second pixel: (B, C, H / 2, W / 2), each side rounded up.

    Pixel i of the result lies at pixel 2i of the maps. The blur is a Gaussian of sigma 1 in a window of 7 pixels; the
    maps are reflected at their border, so sides must be at least 4.
    """
    with full_precision(maps) as (maps,):
        return _filtered(maps, factor=1, stride=2)


def expand(maps: Tensor) -> Tensor:
    """Enlarge maps (B, C, H, W) to (B, C, 2H, 2W), the counterpart of `reduce`.

    Pixel i of the maps comes to lie at pixel 2i. `resize` would put it half a pixel further to the right and the
    bottom. Sides must be at least 2.
    """
    with full_precision(maps) as (maps,):
        batch, channels, height, width = maps.shape
        spread = F.pad(maps.reshape(batch, channels, height, 1, width, 1), (0, 1, 0, 0, 0, 1))
        return _filtered(spread.reshape(batch, channels, 2 * height, 2 * width), factor=4, stride=1)


def reconstruct(coarser: Tensor, detail: Tensor) -> Tensor:
    """Expand maps to twice their size, and add the detail that they lack, resized to that with aligned corners."""
    expanded = expand(coarser)
    with full_precision(expanded, detail) as (expanded, detail):
        return expanded + resize(detail, spatial_size(expanded), align_corners=True)


def laplacian_pyramid(maps: Tensor, levels: int) -> list[Tensor]:
    """Split maps into the detail of each level, finest first, and the coarsest maps.

    `reconstruct`, from the coarsest on, gives the maps back if 2 to the power of `levels` divides their sides.

    Args:
        maps: Maps (B, C, H, W).
        levels: Number of halvings.
    """
    details = []
    for _ in range(levels):
        coarser = reduce(maps)
        height, width = spatial_size(maps)
        details.append(maps - expand(coarser)[..., :height, :width])
        maps = coarser
    return [*details, maps]


def _filtered(maps: Tensor, *, factor: int, stride: int) -> Tensor:
    """Apply the Gaussian, times a factor, to each channel; its values are rounded to float32, as published."""
    height, width = spatial_size(maps)
    if min(height, width) <= _RADIUS:
        raise ValueError(
            f"a pyramid needs levels of at least 4 pixels a side, got {height} by {width}: use larger images"
        )
    kernel = factor * torch.tensor(_KERNEL, dtype=torch.float32, device=maps.device).to(maps.dtype)
    padded = F.pad(maps, [_RADIUS] * 4, mode="reflect")
    # channels as images, since ONNX wants a kernel of constant shape
    filtered = F.conv2d(padded.flatten(0, 1)[:, None], kernel[None, None], stride=stride)
    return filtered.unflatten(0, maps.shape[:2]).squeeze(2)


def ellipse(width: int) -> list[int]:
    """Return the row widths of an ellipse in a square of odd `width`, as OpenCV draws it: odd and centered."""
    radius = width // 2
    return [2 * round(radius * math.sqrt((radius**2 - row**2) / radius**2)) + 1 for row in range(-radius, radius + 1)]


def transition(probability: Tensor, width: int) -> Tensor:
    """Mark pixels (0 or 1) with values more than 0.5 apart in the ellipse of `width` pixels around them."""
    return (_dilated(probability, width) + _dilated(-probability, width) > 0.5).to(probability.dtype)


def blend(coarsest: Tensor, details: Sequence[Tensor]) -> list[Tensor]:
    """Add the details of a pyramid near the borders of a mask that the levels before show.

    Source: InSPyReNet (arXiv:2209.09475), pyramid blending, as in its code: with 3 levels, borders are looked for in
    ellipses of 5, 9 and 17 pixels, each at the size of the level before.

    Args:
        coarsest: Logits (B, 1, h, w), such as those of the whole image at low resolution.
        details: Laplacian maps at 2, 4, ... times that size, coarsest first, such as those of the image at high
            resolution.

    Returns:
        Blended logits of each level, coarsest first.
    """
    levels = [coarsest]
    for level, detail in enumerate(details):
        near = transition(levels[-1].sigmoid(), 2 ** (level + 2) + 1)
        levels.append(reconstruct(levels[-1], resize(near, spatial_size(detail)) * detail))
    return levels


def _dilated(maps: Tensor, width: int) -> Tensor:
    """Return the largest value in the ellipse around each pixel; there is nothing beyond the border."""
    height, radius = maps.shape[-2], width // 2
    rows = []
    for row, inside in enumerate(ellipse(width)):
        across = F.max_pool2d(maps, (1, inside), stride=1, padding=(0, inside // 2))
        rows.append(F.pad(across, (0, 0, radius, radius), value=-math.inf)[..., row : row + height, :])
    return functools.reduce(torch.maximum, rows)
