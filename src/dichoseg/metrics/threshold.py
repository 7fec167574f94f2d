"""Mean absolute error and F-measures of one image.

Protocol (PySODMetrics 1.6): foreground of a mask is above 128; a prediction becomes float64 in [0, 1] and is
stretched to its own minimum and maximum unless it is constant or `normalize=False`. A uint8 mask of 0 and 1
therefore counts as empty: pass bool, or scale it by 255.

All of them follow from the few numbers in `ThresholdCounts`, which `threshold_counts` finds in one pass; from
an 8-bit prediction it needs the histogram alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ThresholdCounts(NamedTuple):
    """What the threshold metrics need to know about one prediction and its mask."""

    absolute_error: float
    """Mean absolute difference between prediction and mask."""
    true_positives: NDArray[np.int64]
    """(256,): foreground pixels at or above each threshold; index i is grey level 255 - i."""
    false_positives: NDArray[np.int64]
    """(256,): background pixels at or above each threshold."""
    adaptive_true_positives: int
    """Foreground pixels at or above the adaptive threshold."""
    adaptive_false_positives: int
    """Background pixels at or above the adaptive threshold."""
    foreground: int
    """Foreground pixels of the mask."""


def mae(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """Mean absolute difference between prediction and mask; 0 is best.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    return threshold_counts(prediction, mask, normalize=normalize).absolute_error


def f_curve(
    prediction: NDArray[Any], mask: NDArray[Any], *, beta_squared: float = 0.3, normalize: bool = True
) -> NDArray[np.float64]:
    """F-measure at each of 256 thresholds: (256,), index i for "grey level is at least 255 - i".

    Grey levels are the prediction times 255, truncated. With precision P = TP / (TP + FP) and recall
    R = TP / T, F = (1 + b) P R / (b P + R), and 0 where the numerator is (an empty mask: everywhere).

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        beta_squared: The constant b; 0.3 in this field.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    counts = threshold_counts(prediction, mask, normalize=normalize)
    return f_measure(counts.true_positives, counts.false_positives, counts.foreground, beta_squared=beta_squared)


def adaptive_f(
    prediction: NDArray[Any], mask: NDArray[Any], *, beta_squared: float = 0.3, normalize: bool = True
) -> float:
    """F-measure at the adaptive threshold, twice the prediction's mean, at most 1.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        beta_squared: The constant b of `f_curve`.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    counts = threshold_counts(prediction, mask, normalize=normalize)
    return float(
        f_measure(
            counts.adaptive_true_positives,
            counts.adaptive_false_positives,
            counts.foreground,
            beta_squared=beta_squared,
        )
    )


def f_measure(
    true_positives: NDArray[np.integer[Any]] | int,
    false_positives: NDArray[np.integer[Any]] | int,
    foreground: NDArray[np.integer[Any]] | int,
    *,
    beta_squared: float = 0.3,
) -> NDArray[np.float64]:
    """F-measure of counts that broadcast, with the constant b of `f_curve`; 0 without true positives.

    (1 + b) P R / (b P + R), as `f_curve` has it, in one fraction.
    """
    true_positives = np.asarray(true_positives)
    denominator = beta_squared * np.asarray(foreground) + (true_positives + false_positives)
    return (1 + beta_squared) * true_positives / np.where(denominator > 0, denominator, 1)


def threshold_counts(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> ThresholdCounts:
    """Everything that the threshold metrics of one image need, in one pass.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.

    Raises:
        ValueError: Shapes that differ or are not (H, W), an empty image, values outside of [0, 1], NaN.
        TypeError: A prediction that is neither uint8 nor float, or a mask that is neither uint8 nor bool.
    """
    _check(prediction, mask)
    foreground = mask if mask.dtype == np.bool_ else mask > 128
    if prediction.dtype == np.uint8:
        return _counts_of_levels(prediction, foreground, normalize=normalize)
    values = _stretch(prediction.astype(np.float64), normalize=normalize)
    positive = values >= min(2 * values.mean(), 1.0)
    adaptive_true_positives = int(np.count_nonzero(positive & foreground))
    histogram = _histogram((values * 255).astype(np.uint8), foreground)
    return ThresholdCounts(
        float(np.abs(values - foreground).mean()),
        *_cumulative(histogram),
        adaptive_true_positives,
        int(np.count_nonzero(positive)) - adaptive_true_positives,
        int(np.count_nonzero(foreground)),
    )


def _counts_of_levels(
    prediction: NDArray[np.uint8], foreground: NDArray[np.bool_], *, normalize: bool
) -> ThresholdCounts:
    """The same from the histogram of 8-bit levels: at most 256 values, each with its number of pixels."""
    histogram = _histogram(prediction, foreground)
    levels = np.flatnonzero(histogram.any(axis=0))
    negatives, positives = histogram[:, levels]
    values = _stretch(levels / 255, normalize=normalize)
    mean = float((values * (negatives + positives)).sum()) / prediction.size
    if np.abs(values - min(2 * mean, 1.0)).min() < 1e-12:
        # A level lies on the adaptive threshold and rounding decides: add up pixels, as the reference does.
        table = np.zeros(256)
        table[levels] = values
        mean = float(table[prediction].mean())
    positive = values >= min(2 * mean, 1.0)
    stretched = np.zeros((256, 2), np.int64)
    np.add.at(stretched, (values * 255).astype(np.uint8), histogram[:, levels].T)
    return ThresholdCounts(
        float((values * negatives + (1 - values) * positives).sum()) / prediction.size,
        *_cumulative(stretched.T),
        int(positives[positive].sum()),
        int(negatives[positive].sum()),
        int(positives.sum()),
    )


def _histogram(grey: NDArray[np.uint8], foreground: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(2, 256): background and foreground pixels at each grey level."""
    bins = np.left_shift(foreground, 8, dtype=np.uint16)
    bins |= grey
    return np.bincount(bins.ravel(), minlength=512).reshape(2, 256)


def _cumulative(histogram: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True and false positives at the 256 thresholds, the highest first."""
    false_positives, true_positives = histogram[:, ::-1].cumsum(axis=1)
    return true_positives, false_positives


def _stretch(values: NDArray[np.float64], *, normalize: bool) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if normalize and low != high else values


def _check(prediction: NDArray[Any], mask: NDArray[Any]) -> None:
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
