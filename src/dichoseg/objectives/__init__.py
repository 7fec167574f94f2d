"""Objectives: `(prediction, target) -> scalar`, the sum of named terms.

An objective applies losses to everything that a model returns: final logits, side logits, predicted edges, features.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .deep import DeepSupervision as DeepSupervision
    from .edges import EdgeSupervision as EdgeSupervision
    from .intermediate import IntermediateSupervision as IntermediateSupervision
    from .weighted_sum import WeightedSum as WeightedSum
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "DeepSupervision": "deep",
            "EdgeSupervision": "edges",
            "IntermediateSupervision": "intermediate",
            "WeightedSum": "weighted_sum",
        },
    )
