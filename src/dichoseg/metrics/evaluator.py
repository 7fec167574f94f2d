"""Averages of the metrics over a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .threshold import adaptive_f, f_curve, mae


class Evaluator:
    """Collects image after image and gives the numbers that papers print.

    Keys: `mae`; `max_f` and `mean_f`, the maximum and the mean over thresholds of the F-curve averaged over
    images; `adaptive_f`. Each image counts alike, whatever its size. Definitions: `dichoseg.metrics`.

    Args:
        normalize: Whether each prediction is stretched to [0, 1] first, as PySODMetrics does.
    """

    def __init__(self, *, normalize: bool = True) -> None:
        self.normalize = normalize
        self.count = 0
        self._curve = np.zeros(256)
        self._mae = 0.0
        self._adaptive = 0.0

    def update(self, prediction: NDArray[Any], mask: NDArray[Any]) -> None:
        """Add one image: (H, W) uint8 or float in [0, 1], and its mask, uint8 or bool."""
        self._mae += mae(prediction, mask, normalize=self.normalize)
        self._adaptive += adaptive_f(prediction, mask, normalize=self.normalize)
        self._curve += f_curve(prediction, mask, normalize=self.normalize)
        self.count += 1

    def compute(self) -> dict[str, float]:
        """The averages so far. ValueError before the first image."""
        if self.count == 0:
            raise ValueError("nothing to average: update(prediction, mask) comes first")
        curve = self._curve / self.count
        return {
            "mae": self._mae / self.count,
            "max_f": float(curve.max()),
            "mean_f": float(curve.mean()),
            "adaptive_f": self._adaptive / self.count,
        }
