"""Prediction and mask of one image, and the counts from which most metrics are computed.

Protocol (PySODMetrics 1.6): mask values above 128 are foreground. A prediction is converted to float64 in [0, 1] and
min-max normalized, unless it is constant or `normalize=False`. A uint8 mask of 0 and 1 is therefore empty: pass bool,
or multiply it by 255.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .measures import Confusion


class Pair:
    """Prediction and mask of one image. Results that several metrics need are computed on first use and cached.

    For an 8-bit prediction, one pass over the pixels builds a joint histogram, from which the threshold metrics and the
    structure measure are computed. For a float prediction, each of them visits the pixels.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
        skeleton: Precomputed `skeleton(mask)`; only HCE uses it.
        weight: (H, W), 1 for pixels that count, 0 for ignored ones. Ignored pixels are left out of all counts and
            means, of `size`, and of the normalization; in `prediction`, `values`, `mask` and `foreground` they are 0,
            so that metrics of shapes see background that is predicted perfectly. Default: all pixels count.
    """

    def __init__(
        self,
        prediction: NDArray[Any],
        mask: NDArray[Any],
        *,
        normalize: bool = True,
        skeleton: NDArray[np.bool_] | None = None,
        weight: NDArray[Any] | None = None,
    ) -> None:
        _check(prediction, mask)
        self.counted = None if weight is None else _counted(weight, mask)
        """True at pixels that count: (H, W); None if all do."""
        if self.counted is not None:
            prediction, mask = (np.where(self.counted, each, np.zeros((), each.dtype)) for each in (prediction, mask))
        self.foreground = foreground_of(mask)
        """True at pixels of the foreground: (H, W)."""
        self.skeleton = skeleton
        """The skeleton that was passed, or None."""
        self.prediction = np.ascontiguousarray(prediction)
        """Prediction as it came; metrics use `values`."""
        self.mask = mask
        """Mask as it came; metrics use `foreground`."""
        self.normalize = normalize
        """True if `values` are min-max normalized."""
        self.size: int = prediction.size if self.counted is None else int(np.count_nonzero(self.counted))
        """Number of pixels that count."""

    @cached_property
    def of_levels(self) -> bool:
        """True if the prediction is 8-bit, so that its histogram is sufficient."""
        return self.prediction.dtype == np.uint8

    @cached_property
    def constant(self) -> bool:
        """True if all values of the prediction are equal."""
        low, high = self._range
        return bool(low == high)

    @cached_property
    def background(self) -> NDArray[np.bool_]:
        """True at pixels of the background that count: (H, W)."""
        return ~self.foreground if self.counted is None else ~self.foreground & self.counted

    @cached_property
    def _range(self) -> tuple[Any, Any]:
        """Lowest and highest value of the prediction, as it came."""
        counted = self.prediction if self.counted is None else self.prediction[self.counted]
        return counted.min(), counted.max()

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """Value in [0, 1] of each gray level of an 8-bit prediction: (256,); 0 for levels outside its range."""
        low, high = map(int, self._range)
        table = np.zeros(256)
        table[low : high + 1] = _stretch(
            np.arange(low, high + 1) / 255, low / 255, high / 255, normalize=self.normalize
        )
        return table

    def values_of(self, rows: slice) -> NDArray[np.float64]:
        """Return some rows of `values` as a new array: (h, W)."""
        if self.of_levels:
            return np.asarray(cv2.LUT(self.prediction[rows], self.table), np.float64)
        return self.values[rows].copy()

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Prediction in [0, 1], min-max normalized if `normalize`: (H, W)."""
        if self.of_levels:
            return self.values_of(slice(None))
        low, high = map(float, self._range)
        values = _stretch(self.prediction.astype(np.float64), low, high, normalize=self.normalize)
        return values if self.counted is None else np.where(self.counted, values, 0)

    @cached_property
    def gray(self) -> NDArray[np.uint8]:
        """Gray levels that are compared with the 256 thresholds, `values` times 255, truncated: (H, W)."""
        return (self.values * 255).astype(np.uint8)

    @cached_property
    def _sums(self) -> list[NDArray[Any]]:
        """Number of foreground pixels in each row (H,) and in each column (W,)."""
        foreground = self.foreground.view(np.uint8)
        return [cv2.reduce(foreground, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() for axis in (1, 0)]

    @cached_property
    def area(self) -> int:
        """Number of foreground pixels of the mask."""
        return int(self._sums[0].sum())

    @cached_property
    def quadrants(self) -> list[tuple[slice, slice]]:
        """Four parts of the image, split below and to the right of the mask's centroid; some may be empty.

        The centroid is rounded half to even. For an empty mask, the first quadrant is the whole image.
        """
        height, width = self.foreground.shape
        if self.area:
            row, column = (round(float(np.dot(np.arange(len(s)), s)) / self.area) + 1 for s in self._sums)
        else:
            row, column = height, width
        vertical, horizontal = (slice(0, row), slice(row, height)), (slice(0, column), slice(column, width))
        return [(rows, columns) for rows in vertical for columns in horizontal]

    @cached_property
    def histogram(self) -> NDArray[np.int64]:
        """Number of background and foreground pixels in each quadrant at each level: (4, 2, 256).

        The levels are those of an 8-bit prediction without normalization, or `gray` of a float prediction.
        """
        levels = self.prediction if self.of_levels else self.gray
        return np.stack(
            [_histogram(levels[part], self.foreground[part], self._counted(part)) for part in self.quadrants]
        )

    @cached_property
    def absolute_error(self) -> float:
        """Mean absolute difference between prediction and mask."""
        return self._mean_error(1)

    @cached_property
    def squared_error(self) -> float:
        """Mean squared difference between prediction and mask."""
        return self._mean_error(2)

    def _mean_error(self, power: int) -> float:
        if not self.of_levels:
            return float((np.abs(self.values - self.foreground) ** power).sum()) / self.size
        negatives, positives = self.histogram.sum(axis=0)
        return float((self.table**power * negatives + (1 - self.table) ** power * positives).sum()) / self.size

    @cached_property
    def curve(self) -> Confusion:
        """Counts at the 256 thresholds: index i is "gray level is at least 255 - i"."""
        histogram = self.histogram.sum(axis=0)  # (2, 256)
        if self.of_levels:
            levels, histogram = histogram, np.zeros((2, 256), np.int64)
            np.add.at(histogram.T, (self.table * 255).astype(np.uint8), levels.T)
        false_positives, true_positives = histogram[:, ::-1].cumsum(axis=1)
        return Confusion(true_positives, false_positives, self.area, self.size)

    @cached_property
    def adaptive_threshold(self) -> float:
        """Twice the prediction's mean, at most 1."""
        if self.of_levels:
            pixels = self.histogram.sum(axis=(0, 1))
            threshold = min(2 * float((self.table * pixels).sum()) / self.size, 1.0)
            if np.abs(self.table[pixels > 0] - threshold).min() >= 1e-12:
                return threshold
            # A level lies on the threshold, so rounding decides: average over pixels, as the reference does.
        return min(2 * float(self.values.sum()) / self.size, 1.0)

    @cached_property
    def adaptive(self) -> Confusion:
        """Counts at the adaptive threshold; a value equal to it is positive."""
        return self._decided((self.table if self.of_levels else self.values) >= self.adaptive_threshold)

    @cached_property
    def binary(self) -> Confusion:
        """Counts at the threshold 0.5; a value equal to it is negative."""
        return self._decided((self.table if self.of_levels else self.values) > 0.5)

    def _decided(self, positive: NDArray[np.bool_]) -> Confusion:
        """Count the pixels of a decision on each level (256,) or on each pixel (H, W)."""
        if positive.ndim == 1:
            false_positives, true_positives = (int(n) for n in self.histogram.sum(axis=0) @ positive)
        else:
            true_positives = int(np.count_nonzero(positive & self.foreground))
            false_positives = int(np.count_nonzero(positive & self.background))
        return Confusion(true_positives, false_positives, self.area, self.size)

    def _counted(self, part: tuple[slice, slice]) -> NDArray[np.bool_] | None:
        return None if self.counted is None else self.counted[part]


def _histogram(
    levels: NDArray[np.uint8], foreground: NDArray[np.bool_], counted: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """Count background and foreground pixels at each level: (2, 256)."""
    counts = np.zeros((2, 256), np.int64)
    rows = max(1, 2**24 // max(levels.shape[1], 1))  # OpenCV counts in float32
    for top in range(0, len(levels) if levels.size else 0, rows):
        tile, mask = levels[top : top + rows], foreground[top : top + rows].view(np.uint8)
        both = None if counted is None else counted[top : top + rows].view(np.uint8)
        every, inside = (cv2.calcHist([tile], [0], m, [256], [0, 256]).ravel().astype(np.int64) for m in (both, mask))
        counts += (every - inside, inside)
    return counts


def _stretch(values: NDArray[np.float64], low: float, high: float, *, normalize: bool) -> NDArray[np.float64]:
    return (values - low) / (high - low) if normalize and low != high else values


def _counted(weight: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.bool_]:
    if weight.shape != mask.shape or not np.isin(weight, (0, 1)).all() or not weight.any():
        raise ValueError(
            f"weight must be 0 or 1 for each pixel of the mask, {mask.shape}, and not 0 for all; "
            f"got {weight.shape}, {float(weight.min()):.4g} to {float(weight.max()):.4g}"
        )
    return np.ascontiguousarray(weight > 0)


def foreground_of(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the foreground of a mask, uint8 (foreground above 128) or bool: (H, W), contiguous."""
    if mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"mask must be one (H, W) array with pixels; got shape {mask.shape}")
    if mask.dtype not in (np.bool_, np.uint8):
        raise TypeError(f"mask must be uint8 or bool; got {mask.dtype}; compare it with a threshold first")
    return np.ascontiguousarray(mask if mask.dtype == np.bool_ else mask > 128)


def _check(prediction: NDArray[Any], mask: NDArray[Any]) -> None:
    if prediction.ndim != 2 or prediction.shape != mask.shape or prediction.size == 0:
        raise ValueError(
            f"prediction and mask must be two (H, W) arrays of the same size; got {prediction.shape} and {mask.shape}"
        )
    if prediction.dtype == np.uint8:
        return
    if not np.issubdtype(prediction.dtype, np.floating):
        raise TypeError(f"prediction must be uint8 or float; got {prediction.dtype}")
    low, high = prediction.min(), prediction.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"a float prediction must lie in [0, 1]; got {low:.4g} to {high:.4g}")
