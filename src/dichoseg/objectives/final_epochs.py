"""An objective whose weight changes in the last epochs of a run."""

from __future__ import annotations

from torch import Tensor

from ..checking import number, whole
from ..contracts import Model, Objective, Prediction, Target


class FinalEpochs(Objective):
    """An objective that is multiplied by a factor at the start of each of the last epochs; the factors compound.

    `fit` tells it the epoch. Without `fit`, call `start_epoch` before each epoch.

    Source: BiRefNet (arXiv:2401.03407), as in its code.

    Args:
        objective: Objective to weight, such as a part of `WeightedSum`.
        factor: Factor of each of the last epochs: with 0.5, the weight is a half in the first of them, then a quarter.
        epochs: Number of the last epochs, fewer than the run has.
    """

    def __init__(self, objective: Objective, *, factor: float, epochs: int) -> None:
        super().__init__()
        self.objective = objective
        self.factor = number("factor", factor)
        self.epochs = whole("epochs", epochs, least=1)
        self._weight = 1.0

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set the weight of an epoch."""
        if epochs <= self.epochs:
            raise ValueError(f"the last {self.epochs} epochs need a run of more epochs; got {epochs}")
        self._weight = self.factor ** max(0, epoch - (epochs - self.epochs))

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return the terms of the objective, weighted."""
        terms = self.objective.terms(prediction, target)
        return {name: self._weight * value for name, value in terms.items()}

    def check(self, model: Model) -> None:
        """Check the objective."""
        self.objective.check(model)
