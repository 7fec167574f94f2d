"""Blending of two maps of a photograph: at the size of training, and at a larger one."""

from __future__ import annotations

import math

from torch import Tensor

from ..blocks import resize, spatial_size
from ..contracts import Logits, Prediction
from ..pyramid import blend, laplacian_pyramid, reduce

LARGER = 2.0
"""Shorter side of the larger input, over the shorter side of the model's own."""
LEAST = 1280
"""Shorter side of the larger input that is allowed for any model, as published for InSPyReNet at 384 pixels."""
MULTIPLE = 32
"""Sides of the larger input are multiples of this, in pixels."""


def larger_size(height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the larger input for a photograph, with its aspect ratio, never larger than itself.

    Args:
        height: Height of the photograph, in pixels.
        width: Width of the photograph, in pixels.
        size: Height and width of the model's own input.
    """
    limit = max(LEAST, LARGER * min(size))
    scale = min(1, limit / min(height, width))
    sides = (max(1, round(side * scale / MULTIPLE)) * MULTIPLE for side in (height, width))
    return next(sides), next(sides)


def blend_logits(low: Logits, high: Prediction, *, aligned: bool = True) -> Logits:
    """Blend a whole photograph's logits at the size of training with its prediction at a larger size.

    The smaller input shows the network the object as a whole. The larger one adds its details near the border of that:
    those of its Laplacian pyramid, which a model with `PyramidHeads` predicts, and which is computed from the logits of
    any other, with as many levels as the sizes are halvings apart.

    Source: InSPyReNet (arXiv:2209.09475), pyramid blending. Differs from its code, which shifts the map by 3.5 pixels to
    the top left, unless `aligned` is False.

    Args:
        low: Logits at the size of training, (B, 1, h, w).
        high: Prediction of the same photograph at a larger size, whose sides are multiples of 8.
        aligned: Whether the coarsest level is where the pyramid's pixels are. False resizes `low` to it, as published.

    Returns:
        Logits at the larger size.
    """
    size = spatial_size(high.logits)
    details: list[Tensor] = list(high.extras.get("details", ()))
    if not details:
        ratio = max(high_side / side for high_side, side in zip(size, spatial_size(low), strict=True))
        *details, _ = laplacian_pyramid(high.logits, min(3, max(1, round(math.log2(ratio)))))
    if aligned:
        coarsest = resize(low, size)
        for _ in details:
            coarsest = reduce(coarsest)
    else:
        coarsest = resize(low, (size[0] >> len(details), size[1] >> len(details)))
    return blend(coarsest, details[::-1])[-1]
