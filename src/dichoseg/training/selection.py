"""Which epoch is the best: the key of its score, and the direction in which the score improves."""

from __future__ import annotations

from ..metrics.per_image import record_of
from ..records import Metric

DEFAULT_BEST = "quick_max_f"
ONLINE = ("quick_mae", "quick_max_f", "quick_iou")
"""Scores of every validation."""
VALIDATION = ("val_", "quick_")
"""Prefixes of scores that need validation data."""


def score_key(best: str) -> tuple[str, Metric | None]:
    """Return the key in an epoch's row that a choice of the best epoch means, and the metric that validation must add.

    Args:
        best: A key of the row, or the name of a registered metric, whose key is `quick_<name>`.
    """
    name = best.removeprefix("quick_")
    key = f"quick_{name}"
    if key in ONLINE:
        return key, None
    metric = record_of(name)
    return (best, None) if metric is None else (key, metric._replace(name=name))


def higher_is_better(key: str) -> bool:
    """Return whether a score improves by rising: by its metric's record, else unless it ends in `loss` or `mae`."""
    metric = record_of(key.removeprefix("quick_"))
    return not key.endswith(("loss", "mae")) if metric is None else metric.higher_is_better
