"""A weighted sum of objectives."""

from __future__ import annotations

from typing import Never, cast

from torch import Tensor, nn

from ..checking import number
from ..contracts import Model, Objective, Prediction, Target


class WeightedSum(Objective):
    """A weighted sum of named objectives; their terms are logged as `name/term`.

    `WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(0.5, DeepSupervision(EdgeBCELoss())))`

    Args:
        *nameless: Nothing; each part needs a name.
        **parts: Pairs (weight, objective), by name.
    """

    def __init__(self, *nameless: Never, **parts: tuple[float, Objective]) -> None:
        super().__init__()
        if nameless:
            raise TypeError(
                "WeightedSum takes parts by name, as WeightedSum(name=(weight, objective)); "
                f"got a {type(nameless[0]).__name__} without a name"
            )
        if not parts:
            raise ValueError("WeightedSum needs a part: WeightedSum(name=(weight, objective), ...)")
        for name, part in parts.items():
            if not (isinstance(part, tuple) and len(part) == 2 and isinstance(part[1], Objective)):
                raise TypeError(
                    f"{name} must be a pair (weight, objective); got {part!r}"
                    " (DeepSupervision(loss) makes an objective of a loss)"
                )
            number(f"the weight of {name}", part[0])
        self.weights = {name: float(weight) for name, (weight, _) in parts.items()}
        self.objectives = nn.ModuleList(objective for _, objective in parts.values())

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return the weighted terms of every part."""
        return {
            f"{name}/{term}": weight * value
            for (name, weight), objective in zip(self.weights.items(), self._parts(), strict=True)
            for term, value in objective.terms(prediction, target).items()
        }

    def check(self, model: Model) -> None:
        """Check every part."""
        for objective in self._parts():
            objective.check(model)

    def _parts(self) -> list[Objective]:
        return [cast(Objective, part) for part in self.objectives]
