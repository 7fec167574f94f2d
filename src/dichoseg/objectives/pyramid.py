"""Supervision of logits at several sizes by an image pyramid of the mask, and of their consistency."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks import full_precision, resize, spatial_size
from ..contracts import Logits, Loss, Model, Objective, Prediction, Target
from ..losses.pixel import BCELoss
from ..pyramid import reduce
from ..tracing import predicts
from .eager_gradient import eager_gradient
from .ignored import counts, without_ignored

_NO_SIDES = "PyramidConsistency needs a model with side logits; its prediction has none"


class PyramidSupervision(Objective):
    """A loss on the final logits and on every side output, against the mask reduced to the same level of a pyramid.

    The mask of a level is blurred and halved, as often as the side logits are halved, and enlarged to the mask's size
    again by nearest, as the logits are. Terms: `main`, and `side_1`, `side_2`, ... in the order of `side_logits`.

    Source: InSPyReNet (arXiv:2209.09475), as in its code, whose loss is `BorderBCELoss` plus `PixelIoULoss`.

    Args:
        loss: Any `(logits, mask) -> scalar`. Default: `BCELoss()`.
    """

    def __init__(self, loss: Loss | None = None) -> None:
        super().__init__()
        self.loss: Loss = BCELoss() if loss is None else loss

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return one term per output."""
        weight = target.weight
        _, mask = without_ignored(target.mask, target.mask, weight)
        size = spatial_size(mask)
        names = ["main", *(f"side_{index}" for index in range(1, len(prediction.side_logits) + 1))]
        terms = {}
        for name, logits in zip(names, (prediction.logits, *prediction.side_logits), strict=True):
            with full_precision(logits, mask) as (logits, level):
                steps = halvings(level, logits)
                level = F.interpolate(_reduced(level, steps), size)
                weights = None if weight is None else F.interpolate(_reduced(weight.float(), steps), size)
                terms[name] = eager_gradient(self._loss_at_mask_size(weights), logits, level)
        return terms

    def _loss_at_mask_size(self, weight: Tensor | None) -> Loss:
        def loss(logits: Logits, mask: Tensor) -> Tensor:
            return self.loss(*without_ignored(F.interpolate(logits, spatial_size(mask)), mask, weight))

        return loss


class PyramidConsistency(Objective):
    """Mean absolute difference of side logits to the next finer logits, blurred and halved, which get no gradient.

    Keeps the levels of a pyramid alike, so that their details are small. Terms: `consistency_1`, ... in the order of
    `side_logits`, finest first.

    Source: InSPyReNet (arXiv:2209.09475), as in its code.
    """

    second_term: ClassVar[bool] = True
    """Compares the logits with each other only, and must not be the only objective."""

    def check(self, model: Model) -> None:
        """Raise a ValueError if the model has no side logits."""
        if predicts(model, lambda prediction: prediction.side_logits) is False:
            raise ValueError(_NO_SIDES)

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return one term per side output; the mask is not used, except for its ignored pixels."""
        if not prediction.side_logits:
            raise ValueError(_NO_SIDES)
        terms = {}
        finer = prediction.logits
        for index, logits in enumerate(prediction.side_logits, start=1):
            with full_precision(finer.detach(), logits) as (wanted, current):
                wanted = resize(_reduced(wanted, halvings(wanted, current)), spatial_size(current))
                if target.weight is not None:
                    current = torch.where(counts(target.weight, spatial_size(current)), current, wanted)
                terms[f"consistency_{index}"] = F.l1_loss(current, wanted)
            finer = logits
        return terms


def _reduced(maps: Tensor, steps: int) -> Tensor:
    """Blur and halve maps several times."""
    for _ in range(steps):
        maps = reduce(maps)
    return maps


def halvings(finer: Tensor, coarser: Tensor) -> int:
    """Return how often maps must be halved to have about the size of coarser ones."""
    return max(0, round(math.log2(finer.shape[-2] / coarser.shape[-2])))
