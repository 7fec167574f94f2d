"""A prediction and its mask, and the counts that most metrics follow from.

Protocol (PySODMetrics 1.6): foreground of a mask is above 128; a prediction becomes float64 in [0, 1] and is
stretched to its own minimum and maximum unless it is constant or `normalize=False`. A uint8 mask of 0 and 1
therefore counts as empty: pass bool, or scale it by 255.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .measures import Confusion


class Pair:
    """One prediction and its mask. What several metrics need is found on first use and kept.

    Of an 8-bit prediction one pass over the pixels makes a joint histogram, which the threshold metrics and the
    structure measure follow from; a float prediction has its pixels visited for each.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.
        skeleton: The mask's skeleton, where it is known already; HCE alone looks at it.

    Raises:
        ValueError: Shapes that differ or are not (H, W), an empty image, values outside of [0, 1], NaN.
        TypeError: Something else than arrays, a prediction that is neither uint8 nor float, or a mask that is neither
            uint8 nor bool.
    """

    def __init__(
        self,
        prediction: NDArray[Any],
        mask: NDArray[Any],
        *,
        normalize: bool = True,
        skeleton: NDArray[np.bool_] | None = None,
    ) -> None:
        _check(prediction, mask)
        self.skeleton = skeleton
        self.prediction = np.ascontiguousarray(prediction)
        self.mask = mask
        self.foreground = np.ascontiguousarray(mask if mask.dtype == np.bool_ else mask > 128)
        self.normalize = normalize
        self.size: int = prediction.size

    @cached_property
    def of_levels(self) -> bool:
        """Whether the prediction is 8-bit, so that its histogram says it all."""
        return self.prediction.dtype == np.uint8

    @cached_property
    def constant(self) -> bool:
        """Whether the prediction has one value."""
        return bool(self.prediction.min() == self.prediction.max())

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """(256,): value in [0, 1] of each grey level of an 8-bit prediction; 0 for levels beyond its range."""
        low, high = int(self.prediction.min()), int(self.prediction.max())
        table = np.zeros(256)
        table[low : high + 1] = _stretch(np.arange(low, high + 1) / 255, normalize=self.normalize)
        return table

    def values_of(self, rows: slice) -> NDArray[np.float64]:
        """(h, W): some rows of `values`, in an array of their own."""
        if self.of_levels:
            return np.asarray(cv2.LUT(self.prediction[rows], self.table), np.float64)
        return self.values[rows].copy()

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """(H, W): the prediction in [0, 1], stretched if asked."""
        if self.of_levels:
            return self.values_of(slice(None))
        return _stretch(self.prediction.astype(np.float64), normalize=self.normalize)

    @cached_property
    def grey(self) -> NDArray[np.uint8]:
        """(H, W): `values` times 255, truncated: the levels that the 256 thresholds compare with."""
        return (self.values * 255).astype(np.uint8)

    @cached_property
    def _sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Foreground pixels in each row (H,) and in each column (W,)."""
        foreground = self.foreground.view(np.uint8)
        return _row_sums(foreground), _column_sums(foreground)

    @cached_property
    def area(self) -> int:
        """Foreground pixels of the mask."""
        return int(self._sums[0].sum())

    @cached_property
    def quadrants(self) -> list[tuple[slice, slice]]:
        """The image in four, meeting below and to the right of the mask's centroid; some may be empty.

        The centroid is rounded half to even. Of an empty mask, the first quadrant is the whole image.
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
        """(4, 2, 256): background and foreground pixels of each quadrant at each level.

        The levels are those of an 8-bit prediction as it is, and `grey` of a float one.
        """
        levels = self.prediction if self.of_levels else self.grey
        return np.stack([_histogram(levels[part], self.foreground[part]) for part in self.quadrants])

    @cached_property
    def absolute_error(self) -> float:
        """Mean absolute difference between prediction and mask."""
        if not self.of_levels:
            return float(np.abs(self.values - self.foreground).mean())
        negatives, positives = self.histogram.sum(axis=0)
        return float((self.table * negatives + (1 - self.table) * positives).sum()) / self.size

    @cached_property
    def squared_error(self) -> float:
        """Mean squared difference between prediction and mask."""
        if not self.of_levels:
            return float(((self.values - self.foreground) ** 2).mean())
        negatives, positives = self.histogram.sum(axis=0)
        return float((self.table**2 * negatives + (1 - self.table) ** 2 * positives).sum()) / self.size

    @cached_property
    def curve(self) -> Confusion:
        """At the 256 thresholds: index i is "grey level is at least 255 - i"."""
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
            # A level lies on the threshold and rounding decides: add up pixels, as the reference does.
        return min(2 * float(self.values.mean()), 1.0)

    @cached_property
    def adaptive(self) -> Confusion:
        """At the adaptive threshold; a value on it is positive."""
        return self._decided((self.table if self.of_levels else self.values) >= self.adaptive_threshold)

    @cached_property
    def binary(self) -> Confusion:
        """At one half; the half itself is negative."""
        return self._decided((self.table if self.of_levels else self.values) > 0.5)

    def _decided(self, positive: NDArray[np.bool_]) -> Confusion:
        """Of a decision on each level (256,) or on each pixel (H, W)."""
        if positive.ndim == 1:
            false_positives, true_positives = (int(n) for n in self.histogram.sum(axis=0) @ positive)
        else:
            true_positives = int(np.count_nonzero(positive & self.foreground))
            false_positives = int(np.count_nonzero(positive)) - true_positives
        return Confusion(true_positives, false_positives, self.area, self.size)


def _column_sums(ones: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums (W,) of an array of zeros and ones; bytes are added while they hold them, which is fast in any OpenCV."""
    sums = np.zeros(ones.shape[1], np.int64)
    for top in range(0, len(ones), 255):
        sums += np.add.reduce(ones[top : top + 255], axis=0, dtype=np.uint8)
    return sums


def _row_sums(ones: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums (H,) of an array of zeros and ones, whose columns are added eight bytes at a time."""
    wide = ones.shape[1] // 8 * 8
    words = np.ascontiguousarray(ones[:, :wide]).view(np.uint64)  # (H, W / 8)
    sums = ones[:, wide:].sum(axis=1, dtype=np.int64)
    for left in range(0, words.shape[1], 255):
        lanes = np.add.reduce(words[:, left : left + 255], axis=1)
        sums += lanes.view(np.uint8).reshape(-1, 8).sum(axis=1, dtype=np.int64)
    return sums


def _histogram(levels: NDArray[np.uint8], foreground: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(2, 256): background and foreground pixels at each level."""
    counts = np.zeros((2, 256), np.int64)
    rows = max(1, 2**24 // max(levels.shape[1], 1))  # OpenCV counts in float32
    for top in range(0, len(levels) if levels.size else 0, rows):
        tile, mask = levels[top : top + rows], foreground[top : top + rows].view(np.uint8)
        every, inside = (cv2.calcHist([tile], [0], m, [256], [0, 256]).ravel().astype(np.int64) for m in (None, mask))
        counts += (every - inside, inside)
    return counts


def _stretch(values: NDArray[np.float64], *, normalize: bool) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if normalize and low != high else values


def check_array(name: str, values: object) -> None:
    """Refuse, with a TypeError, what is no array, such as a tensor."""
    if not isinstance(values, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array (H, W); got {type(values).__name__}")


def _check(prediction: NDArray[Any], mask: NDArray[Any]) -> None:
    check_array("prediction", prediction)
    check_array("mask", mask)
    if prediction.ndim != 2 or prediction.shape != mask.shape or prediction.size == 0:
        raise ValueError(
            f"prediction and mask must be two (H, W) arrays of one size; got {prediction.shape} and {mask.shape}"
        )
    if mask.dtype not in (np.bool_, np.uint8):
        raise TypeError(f"mask must be uint8 or bool; got {mask.dtype}; compare it with a threshold first")
    if prediction.dtype == np.uint8:
        return
    if not np.issubdtype(prediction.dtype, np.floating):
        raise TypeError(f"prediction must be uint8 or float; got {prediction.dtype}")
    low, high = prediction.min(), prediction.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"a float prediction must lie in [0, 1]; got {low:.4g} to {high:.4g}")
