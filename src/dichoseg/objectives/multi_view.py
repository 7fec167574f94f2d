"""Supervision of the close-ups, the distant view and the gates of a model with several views."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..blocks import full_precision, spatial_size
from ..checking import number
from ..contracts import Loss, Model, Objective, Prediction, Target
from ..losses.region import StructureLoss
from ..tracing import predicts
from .eager_gradient import eager_gradient
from .ignored import without_ignored

_NO_VIEWS = (
    "MultiViewSupervision needs a model with several views; its prediction has no extras['distant_logits'] "
    "(create_model('mvanet') makes one that has them)"
)


class MultiViewSupervision(Objective):
    """A loss on all maps of a `MultiViewSegmenter`, each against the mask at its own size, by nearest.

    Terms: `main` and `side_1`, ... (finest first), `distant_1`, ..., and `gate_1`, .... The gates are probabilities
    already, and pass a second sigmoid in the loss, as in the published code, so they are only pulled apart.

    Source: MVANet (arXiv:2404.07445), as in its code.

    Args:
        loss: Any `(logits, mask) -> scalar`. Default: `StructureLoss(padding="zeros")`, as published.
        distant_weight: Weight of the terms of the distant view and of the gates.
    """

    def __init__(self, loss: Loss | None = None, *, distant_weight: float = 0.3) -> None:
        super().__init__()
        self.loss: Loss = StructureLoss(padding="zeros") if loss is None else loss
        self.distant_weight = number("distant_weight", distant_weight)

    def check(self, model: Model) -> None:
        """Raise a ValueError if the model has no views."""
        if predicts(model, lambda prediction: prediction.extras.get("distant_logits")) is False:
            raise ValueError(_NO_VIEWS)

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return one term per map."""
        if "distant_logits" not in prediction.extras:
            raise ValueError(_NO_VIEWS)
        groups = (
            ("side", 1.0, prediction.side_logits),
            ("distant", self.distant_weight, prediction.extras["distant_logits"]),
            ("gate", self.distant_weight, prediction.extras["gates"]),
        )
        terms = {"main": self._term(prediction.logits, target)}
        for name, weight, maps in groups:
            terms |= {f"{name}_{index}": weight * self._term(each, target) for index, each in enumerate(maps, start=1)}
        return terms

    def _term(self, logits: Tensor, target: Target) -> Tensor:
        def loss(logits: Tensor, mask: Tensor) -> Tensor:
            return self.loss(*without_ignored(logits, mask, target.weight))

        with full_precision(logits, target.mask) as (logits, mask):
            return eager_gradient(loss, logits, F.interpolate(mask, spatial_size(logits)))
