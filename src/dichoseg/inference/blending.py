"""Blending of two maps of a photograph: at the size of training, and at a larger one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

from torch import Tensor

from ..blocks import resize, spatial_size
from ..contracts import Logits
from ..preprocessing import Preprocessing
from ..pyramid import blend, laplacian_pyramid, reduce

Detail: TypeAlias = Literal["blend", "views", "borders"]
LARGER = 2.0
"""Shorter side of the larger input, over the shorter side of the model's own."""
LEAST = 1280
"""Shorter side of the larger input that is allowed for any model, as published for InSPyReNet at 384 pixels."""
LEVELS = 1
"""Levels of the pyramid that is computed of a larger map, about twice as large."""
MULTIPLE = 32
"""Sides of the larger input are multiples of this, in pixels."""


def larger_input(preprocessing: Preprocessing, height: int, width: int) -> Preprocessing:
    """Return the preprocessing of a photograph's larger input, which has its aspect ratio and is not larger than it.

    Args:
        preprocessing: The model's own preprocessing, of a fixed size.
        height: Height of the photograph, in pixels.
        width: Width of the photograph, in pixels.
    """
    limit = max(LEAST, LARGER * min(preprocessing.height_width or (LEAST,)))
    scale = min(1, limit / min(height, width))
    sides = [max(1, round(side * scale / MULTIPLE)) * MULTIPLE for side in (height, width)]
    return dataclasses.replace(preprocessing, size=(sides[0], sides[1]), resize_policy="stretch")


def blend_logits(low: Logits, high: Logits, details: Sequence[Tensor] = (), *, aligned: bool = True) -> Logits:
    """Blend a whole photograph's logits at the size of training with its logits at a larger size.

    The smaller input shows the network the object as a whole. The larger one adds its details near the border of that:
    those of its Laplacian pyramid.

    Source: InSPyReNet (arXiv:2209.09475), pyramid blending. Differs from its code, which shifts the map by 3.5 pixels
    to the top left, unless `aligned` is False.

    Args:
        low: Logits at the size of training, (B, 1, h, w), or these enlarged.
        high: Logits at a larger size, (B, 1, H, W), whose sides are multiples of 8.
        details: Laplacian maps at the larger size, finest first, as a model with `PyramidHeads` predicts them. Default:
            those of `high`.
        aligned: Whether the coarsest level is aligned with the pyramid. False resizes `low` to it, as published.

    Returns:
        Logits at the larger size.
    """
    size = spatial_size(high)
    if not details:
        details = laplacian_pyramid(high, LEVELS)[:-1]
    if aligned:
        coarsest = resize(low, size)
        for _ in details:
            coarsest = reduce(coarsest)
    else:
        coarsest = resize(low, (size[0] >> len(details), size[1] >> len(details)))
    return blend(coarsest, details[::-1])[-1]
