"""Removal of ignored pixels from logits and masks before the loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks import spatial_size
from ..contracts import Logits, Mask

BACKGROUND = -50.0
"""Logit of ignored pixels: far enough from 0 to have no error, while its sigmoid is still above 0."""
ALL = 0.99
"""Smallest mean weight of pixels that all count, up to rounding."""


def without_ignored(logits: Logits, mask: Mask, weight: Tensor | None) -> tuple[Logits, Mask]:
    """Replace ignored pixels by background that is predicted perfectly, which every loss takes as no error.

    Ignored logits get no gradient. A loss that is a mean over all pixels stays one: each pixel that counts has the same
    influence in every image.

    Args:
        logits: (B, 1, H, W).
        mask: (B, 1, H, W).
        weight: Weight of each pixel (B, 1, H, W), or at a larger size; None if all pixels count.
    """
    if weight is None:
        return logits, mask
    counting = counts(weight, spatial_size(mask))
    return torch.where(counting, logits, BACKGROUND), torch.where(counting, mask, 0.0)


def counts(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Mark the cells of which all pixels count: weights (B, 1, H, W) -> bool (B, 1, *size)."""
    return F.adaptive_avg_pool2d(weight.float(), size) > ALL
