"""Measures of a binary decision, such as precision, F, IoU and E-measure, computed from four counts.

`MEASURES` lists them by name. Each takes a `Confusion`, at one threshold or several, and returns an array of that
shape. A ratio 0 / 0 is 0, as in PySODMetrics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.integer[Any]] | int
Values: TypeAlias = NDArray[np.float64]

EPSILON = float(np.spacing(1.0))
"""Constant that PySODMetrics adds to denominators."""


class Confusion(NamedTuple):
    """Pixel counts of a decision and a mask; the four broadcast."""

    true_positives: Counts
    """Foreground pixels that are positive."""
    false_positives: Counts
    """Background pixels that are positive."""
    foreground: Counts
    """Foreground pixels of the mask."""
    size: Counts
    """Number of all pixels."""


def precision(confusion: Confusion) -> Values:
    """Compute TP / (TP + FP): the fraction of positives that are correct."""
    true_positives, false_positives, _, _ = confusion
    return _ratio(true_positives, true_positives + false_positives)


def recall(confusion: Confusion) -> Values:
    """Compute TP / T: the fraction of the foreground that is positive."""
    return _ratio(confusion.true_positives, confusion.foreground)


def f_measure(confusion: Confusion, *, beta_squared: float = 0.3) -> Values:
    """Compute (1 + b) P R / (b P + R) of precision and recall as a single ratio; b is 0.3 in this field."""
    true_positives, false_positives, foreground, _ = confusion
    denominator = beta_squared * np.asarray(foreground) + (true_positives + false_positives)
    return _ratio((1 + beta_squared) * np.asarray(true_positives), denominator)


def iou(confusion: Confusion) -> Values:
    """Compute TP / (TP + FP + FN): intersection over union."""
    true_positives, false_positives, foreground, _ = confusion
    return _ratio(true_positives, foreground + false_positives)


def dice(confusion: Confusion) -> Values:
    """Compute 2 TP / (2 TP + FP + FN), which is the F-measure with b = 1."""
    true_positives, false_positives, foreground, _ = confusion
    return _ratio(2 * np.asarray(true_positives), foreground + true_positives + false_positives)


def specificity(confusion: Confusion) -> Values:
    """Compute TN / (TN + FP): the fraction of the background that is negative."""
    _, false_positives, foreground, size = confusion
    background = np.asarray(size) - foreground
    return _ratio(background - false_positives, background)


def fpr(confusion: Confusion) -> Values:
    """Compute FP / (FP + TN): false positive rate; 0 is best."""
    _, false_positives, foreground, size = confusion
    return _ratio(false_positives, np.asarray(size) - foreground)


def accuracy(confusion: Confusion) -> Values:
    """Compute (TP + TN) / N: overall accuracy."""
    true_positives, false_positives, foreground, size = confusion
    return _ratio(size - foreground - false_positives + true_positives, size)


def ber(confusion: Confusion) -> Values:
    """Compute 1 - (recall + specificity) / 2: balanced error rate; 0 is best, an empty mask gives at least 0.5."""
    return 1 - (recall(confusion) + specificity(confusion)) / 2


def kappa(confusion: Confusion) -> Values:
    """Compute (OA - p) / (1 - p) of the accuracy OA, with PySODMetrics' p; not Cohen's kappa.

    p is [(TP + FP)(TP + FN) + (TN + FN)(TN + TP)] / N^2. Cohen's chance agreement has TN + FP instead of TN + TP, so
    this kappa can exceed 1, and is comparable only with that of PySODMetrics.
    """
    exact = np.max(confusion[3]) < 2**31  # else squares of the size overflow
    true_positives, false_positives, foreground, size = (
        np.asarray(count, np.int64 if exact else np.float64) for count in confusion
    )
    positives = true_positives + false_positives
    right = size - foreground - false_positives + true_positives
    chance = positives * foreground + (size - positives) * right  # p * N^2
    return _ratio(size * right - chance, size * size - chance)


def e_measure(confusion: Confusion) -> Values:
    """Compute the enhanced alignment of two binary maps (Fan et al., arXiv:1805.10421), as in PySODMetrics.

    With a = decision - its mean, b = mask - its mean and phi = 2 a b / (a^2 + b^2), it is the sum of
    (phi + 1)^2 / 4 over pixels, divided by N - 1. A perfect decision scores N / (N - 1), slightly above 1. For
    an empty (full) mask, the sum is the number of negative (positive) pixels. Differs: for an image of one pixel, the
    sum is divided by 1.
    """
    true_positives, false_positives, foreground, size = (np.asarray(count, np.int64) for count in confusion)
    positives = true_positives + false_positives
    predicted, true = positives / size, foreground / size
    missed = foreground - true_positives
    parts = (
        (true_positives, 1 - predicted, 1 - true),
        (false_positives, 1 - predicted, -true),
        (missed, -predicted, 1 - true),
        (size - foreground - false_positives, -predicted, -true),
    )
    aligned = np.zeros(np.broadcast_shapes(predicted.shape, true.shape))
    for count, a, b in parts:
        phi = 2 * a * b / (a * a + b * b + EPSILON)
        aligned = aligned + count * (phi + 1) ** 2 / 4
    aligned = np.where(foreground == 0, size - positives, aligned)
    aligned = np.where(foreground == size, positives, aligned)
    return aligned / np.maximum(size - 1, 1)


def _ratio(numerator: Any, denominator: Any) -> Values:
    """Divide, with 0 / 0 = 0; the numerator must be 0 at the zeros of the denominator."""
    return np.asarray(numerator) / np.where(np.asarray(denominator) != 0, denominator, 1)


MEASURES: dict[str, Callable[[Confusion], Values]] = {
    "f": f_measure,
    "e": e_measure,
    "iou": iou,
    "dice": dice,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "fpr": fpr,
    "accuracy": accuracy,
    "ber": ber,
    "kappa": kappa,
}
"""Measures by name, as used in functions and in `Evaluator`."""
