"""Edge supervision: a loss on the edges that a model predicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..contracts import Loss, Mask, Model, Objective, Prediction, Target
from ..losses.edge import BalancedBCELoss
from ..masks import mask_edges
from ..tracing import predicts_edges
from .deep import resized_loss

_NO_EDGES = (
    "EdgeSupervision needs a model that predicts edges; its prediction has no edge_logits (a model with decoder "
    "'edge_guided' has them)"
)


class EdgeSupervision(Objective):
    """A loss between the edges that a model predicts and those of the mask.

    Needs a model with `edge_logits`, such as one whose decoder is `EdgeGuidedDecoder`. Term: `edge`, or `edge_1`,
    `edge_2`, ... if the model predicts several maps.

    `WeightedSum(mask=(1.0, DeepSupervision(BCELoss())), edge=(1.0, EdgeSupervision()))`

    Source: EGNet (arXiv:1908.08297). Differs from its code, which sums over pixels: the default loss is the mean.

    Args:
        loss: Any `(logits, edges) -> scalar`. Default: `BalancedBCELoss()`.
        edges: Function that computes the target edges, in [0, 1], from the mask.
    """

    second_term: ClassVar[bool] = True
    """Leaves the inside of the object unsupervised, and must not be the only objective."""

    def __init__(self, loss: Loss | None = None, *, edges: Callable[[Mask], Mask] = mask_edges) -> None:
        super().__init__()
        self.loss: Loss = BalancedBCELoss() if loss is None else loss
        self.edges = edges

    def check(self, model: Model) -> None:
        """Raise a ValueError if the model predicts no edges."""
        if predicts_edges(model) is False:
            raise ValueError(_NO_EDGES)

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return one term per predicted edge map."""
        if not prediction.edge_logits:
            raise ValueError(_NO_EDGES)
        edges, weight = self.edges(target.mask), target.weight
        if weight is not None:  # an edge next to an ignored pixel is unknown
            weight = -F.max_pool2d(-weight.float(), 3, stride=1, padding=1)
        terms = [resized_loss(self.loss, logits, edges, weight) for logits in prediction.edge_logits]
        names = [f"edge_{index}" for index in range(1, len(terms) + 1)] if len(terms) > 1 else ["edge"]
        return dict(zip(names, terms, strict=True))
