"""Averages of the metrics over a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .threshold import f_measure, threshold_counts


class Evaluator:
    """Collects image after image and gives the numbers that papers print, by PySODMetrics' protocol.

    It remembers sums, not images, and each image counts alike, whatever its size. With b = 0.3:

    - `mae`: mean absolute error, averaged over images.
    - `max_f`, `mean_f`: maximum and mean, over the 256 thresholds, of the F-curve averaged over images. So
      `max_f` is the best that one threshold does for the whole set, not the mean of each image's best.
    - `adaptive_f`: F at twice the prediction's mean (at most 1), averaged over images.

    An image whose mask is empty has F = 0, even when the prediction is empty too. The functions `mae`,
    `f_curve` and `adaptive_f` of this folder define the numbers of one image.

    Args:
        normalize: Whether each prediction is stretched to [0, 1] first, as PySODMetrics does.
    """

    def __init__(self, *, normalize: bool = True) -> None:
        self.normalize = normalize
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self.count = 0
        self._mae = 0.0
        self._adaptive = 0.0
        self._curve = np.zeros(256)

    def update(self, prediction: NDArray[Any], mask: NDArray[Any]) -> None:
        """Add one image: (H, W) uint8 or float in [0, 1], and its mask, uint8 (above 128) or bool."""
        counts = threshold_counts(prediction, mask, normalize=self.normalize)
        foreground = counts.foreground
        self._mae += counts.absolute_error
        self._adaptive += float(f_measure(counts.adaptive_true_positives, counts.adaptive_false_positives, foreground))
        self._curve += f_measure(counts.true_positives, counts.false_positives, foreground)
        self.count += 1

    def merge(self, other: Evaluator) -> None:
        """Add the images that another evaluator has seen, for example in another process."""
        if other.normalize != self.normalize:
            raise ValueError(
                f"only evaluators with the same normalize can be merged; got {self.normalize} and {other.normalize}"
            )
        self._mae += other._mae
        self._adaptive += other._adaptive
        self._curve = self._curve + other._curve
        self.count += other.count

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
