"""The objective that `fit` minimizes by default."""

from __future__ import annotations

from ..contracts import Model, Objective
from ..tracing import predicts_edges
from .deep import DeepSupervision
from .edges import EdgeSupervision
from .weighted_sum import WeightedSum


def default_objective(model: Model) -> Objective:
    """Return `DeepSupervision()`, plus `EdgeSupervision()` for a model that predicts edges."""
    if predicts_edges(model):
        return WeightedSum(mask=(1.0, DeepSupervision()), edge=(1.0, EdgeSupervision()))
    return DeepSupervision()
