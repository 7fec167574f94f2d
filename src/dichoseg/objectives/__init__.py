"""Objectives: `(prediction, target) -> scalar`, the sum of named terms.

An objective applies losses to everything that a model returns: final logits, side logits, predicted edges, features.
"""

from .deep import DeepSupervision as DeepSupervision
from .edges import EdgeSupervision as EdgeSupervision
from .final_epochs import FinalEpochs as FinalEpochs
from .gradient import GradientSupervision as GradientSupervision
from .intermediate import IntermediateSupervision as IntermediateSupervision
from .multi_view import MultiViewSupervision as MultiViewSupervision
from .pyramid import PyramidConsistency as PyramidConsistency
from .pyramid import PyramidSupervision as PyramidSupervision
from .weighted_sum import WeightedSum as WeightedSum
