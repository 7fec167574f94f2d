"""Metric of thin structures."""

from math import nan

from dichoseg.contracts import Metric
from dichoseg.metrics import Pair, skeleton


def _skeleton_recall(pair: Pair) -> float:
    """Return the fraction of the mask's skeleton with a prediction above 0.5."""
    thin = skeleton(pair.foreground) if pair.skeleton is None else pair.skeleton
    if not thin.any():
        return nan
    return float((pair.values[thin] > 0.5).mean())


SKELETON_RECALL = Metric(
    "skeleton_recall",
    _skeleton_recall,
    higher_is_better=True,
    definition="fraction of the mask's skeleton that is found, averaged over images",
)
