"""Choice of the best epoch: the key of its score, and the direction in which the score improves."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from ..checking import unknown
from ..metrics.per_image import record_of
from ..records import Metric
from ..registry import list_components
from .rows import RUN, VALIDATION, Row

DEFAULT_BEST = "quick_max_f"
ONLINE = ("quick_mae", "quick_max_f", "quick_iou")
"""Scores of every validation."""


def score_key(best: str) -> tuple[str, Metric | None]:
    """Return the key in an epoch's row that a choice of the best epoch means, and the metric that validation must add.

    Args:
        best: A key of the row, or the name of a registered metric, whose key is `quick_<name>`.

    Raises:
        TypeError: It is not a str.
    """
    if not isinstance(best, str):
        raise TypeError(f"best must be the name of a score, such as 'quick_max_f' or 'mba'; got {best!r}")
    name = best.removeprefix("quick_")
    key = f"quick_{name}"
    if key in ONLINE:
        return key, None
    metric = record_of(name)
    return (best, None) if metric is None else (key, metric._replace(name=name))


def check_best(best: str, *, validates: bool) -> None:
    """Check a choice of the best epoch if no callback adds scores to the row.

    Raises:
        ValueError: The score does not exist, or it needs validation data.
    """
    key, metric = score_key(best)
    if metric is None and key not in ("loss", "val_loss", *ONLINE):
        raise unknown(f"score {best!r}", best, ("loss", "val_loss", *ONLINE, *list_components("metrics")))
    if not validates and best != DEFAULT_BEST and key.startswith(VALIDATION):
        raise ValueError(f"best={best!r} is a validation score, which needs val_data")


def find_key(row: Mapping[str, float], best: str) -> str | None:
    """Return the key in a row that a choice of the best epoch means: `best` itself, else `quick_<name>`, else None."""
    return next((key for key in (best, score_key(best)[0]) if key in row), None)


def higher_is_better(key: str) -> bool:
    """Return whether a score improves by rising: by its metric's record, else unless it ends in `loss` or `mae`."""
    metric = record_of(key.removeprefix("quick_"))
    return not key.endswith(("loss", "mae")) if metric is None else metric.higher_is_better


def gain(row: Mapping[str, float], key: str) -> float:
    """Return a score such that higher is better; NaN counts as the worst."""
    score = row[key] if higher_is_better(key) else -row[key]
    return -math.inf if math.isnan(score) else score


def score_of(row: Row, best: str, *, terms: Collection[str], required: bool) -> float:
    """Return an epoch's score such that higher is better; -inf if it has none.

    Args:
        row: Row of the epoch.
        best: Choice of the score.
        terms: Keys of the loss and its terms, of which only `loss` can be a score.
        required: Whether a row without the score is an error.
    """
    scores = {name: row[name] for name in row if name == "loss" or name not in {*terms, *RUN, "epoch"}}
    key = find_key(scores, best)
    if key is None and required:
        raise ValueError(f"best={best!r} is not a score of this epoch; its scores: {', '.join(scores)}")
    return -math.inf if key is None else gain(scores, key)


def best_epoch(history: Sequence[Mapping[str, float]], best: str) -> int | None:
    """Return the epoch with the best score, the first of equals; None if no epoch has one."""
    gains = {int(row["epoch"]): gain(row, key) for row in history if (key := find_key(row, best)) is not None}
    epoch = max(gains, key=lambda epoch: gains[epoch], default=None)
    return None if epoch is None or gains[epoch] == -math.inf else epoch
