"""The losses that InSPyReNet is trained with."""

from __future__ import annotations

from ..losses.pixel import BorderBCELoss, PixelIoULoss
from .pyramid import PyramidConsistency, PyramidSupervision
from .weighted_sum import WeightedSum


def inspyrenet() -> WeightedSum:
    """Build the objective of InSPyReNet: weighted cross-entropy and IoU on all levels, and their consistency.

    Parts, with their weights: `bce` (1, `BorderBCELoss`), `iou` (1, `PixelIoULoss`), `consistency` (1e-4). Fits any
    model with side logits.

    Source: InSPyReNet (arXiv:2209.09475), as in its code, whose values it has.
    """
    return WeightedSum(
        bce=(1.0, PyramidSupervision(BorderBCELoss())),
        iou=(1.0, PyramidSupervision(PixelIoULoss())),
        consistency=(1e-4, PyramidConsistency()),
    )
