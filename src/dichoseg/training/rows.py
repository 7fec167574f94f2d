"""Rows of the history: the terms, scores and times of an epoch."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import final

from ..runtime.memory import most_memory_used

Row = dict[str, float]
"""One epoch: `epoch`, `loss` and each of its terms; with validation data `val_loss` and the validation scores; and the
keys in `RUN`."""
RUN = ("learning_rate", "images_per_second", "busy", "memory_gb", "seconds")
"""Keys that describe the run: the learning rate of the first parameter group at the epoch's start, the images per
second in training, the fraction of that time spent in forward pass, backward pass and optimizer, the peak memory so far
in GB (on a GPU, that allocated by torch), and the duration of the epoch with validation in seconds."""
VALIDATION = ("val_", "quick_")
"""Prefixes of scores that need validation data."""


@final
class History(list[Row]):
    """Rows of a run, in order; with `fit(base="score")` or `"average"`, the first one is that of epoch 0, the base."""

    interrupted = False
    """True if a signal stopped training, which can then be resumed."""

    def __init__(self, rows: Iterable[Row] = (), *, averages: Iterable[Row] = (), base_share: float = 0.0) -> None:
        super().__init__(rows)
        self.base_share = base_share
        """Fraction of the base in the weights that the model holds, if they are an average with it."""
        self.averages = [*averages]
        """Scores of the averages of base and trained weights, with the key `base_share`."""


def grouped(values: Mapping[str, float]) -> dict[str, float]:
    """Sum numbered terms: `side_1`, `side_2`, ... become `side`."""
    sums: dict[str, float] = {}
    for name, value in values.items():
        group = re.sub(r"_\d+$", "", name)
        sums[group] = sums.get(group, 0.0) + value
    return sums


@final
class Meter:
    """Sums of an epoch's terms over the images seen, and the time spent.

    Args:
        totals: Sums of a resumed epoch.
        seen: Number of images in these sums.
    """

    def __init__(self, totals: Mapping[str, float], seen: int) -> None:
        self.totals = dict(totals)
        self.seen = seen
        self.resumed_at = seen
        self.busy = 0.0
        self.started = time.perf_counter()
        self.trained = 0.0

    def add(self, values: Mapping[str, float], images: int, seconds: float) -> None:
        """Add the mean terms of some images, and the time that their step took."""
        self.seen += images
        self.busy += seconds
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + value * images

    def text(self) -> str:
        """Return the mean terms so far, grouped, for the progress."""
        return ", ".join(f"{name} {value / max(self.seen, 1):.3f}" for name, value in grouped(self.totals).items())

    def end_training(self) -> None:
        """Note that the last step is done and validation begins."""
        self.trained = time.perf_counter() - self.started

    def times(self, images: int, device_type: str) -> Row:
        """Return the keys in `RUN`, except the learning rate, of an epoch with so many images."""
        return {
            "images_per_second": max(images - self.resumed_at, 0) / self.trained,
            "busy": self.busy / self.trained,
            "memory_gb": most_memory_used(device_type),
            "seconds": time.perf_counter() - self.started,
        }
