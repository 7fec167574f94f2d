"""Measures of a binary decision: precision, F, IoU, E-measure and others, from four counts.

`MEASURES` names them. Each takes a `Confusion`, of one threshold or of many, and gives an array of that shape.
A ratio 0 / 0 is 0, as in PySODMetrics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.integer[Any]] | int
Values: TypeAlias = NDArray[np.float64]

EPSILON = float(np.spacing(1.0))
"""What PySODMetrics adds to denominators."""


class Confusion(NamedTuple):
    """A decision against a mask, in pixels; the four broadcast."""

    true_positives: Counts
    """Foreground pixels that are positive."""
    false_positives: Counts
    """Background pixels that are positive."""
    foreground: Counts
    """Foreground pixels of the mask."""
    size: Counts
    """All pixels."""


def precision(confusion: Confusion) -> Values:
    """TP / (TP + FP): how much of what was found is right."""
    true_positives, false_positives, _, _ = confusion
    return _ratio(true_positives, true_positives + false_positives)


def recall(confusion: Confusion) -> Values:
    """TP / T: how much of the foreground was found."""
    return _ratio(confusion.true_positives, confusion.foreground)


def f_measure(confusion: Confusion, *, beta_squared: float = 0.3) -> Values:
    """(1 + b) P R / (b P + R) of precision and recall, in one fraction; b is 0.3 in this field."""
    true_positives, false_positives, foreground, _ = confusion
    denominator = beta_squared * np.asarray(foreground) + (true_positives + false_positives)
    return _ratio((1 + beta_squared) * np.asarray(true_positives), denominator)


def iou(confusion: Confusion) -> Values:
    """TP / (TP + FP + FN): intersection over union."""
    true_positives, false_positives, foreground, _ = confusion
    return _ratio(true_positives, foreground + false_positives)


def dice(confusion: Confusion) -> Values:
    """2 TP / (2 TP + FP + FN), which is the F-measure with b = 1."""
    true_positives, false_positives, foreground, _ = confusion
    return _ratio(2 * np.asarray(true_positives), foreground + true_positives + false_positives)


def specificity(confusion: Confusion) -> Values:
    """TN / (TN + FP): how much of the background was left alone."""
    _, false_positives, foreground, size = confusion
    background = np.asarray(size) - foreground
    return _ratio(background - false_positives, background)


def fpr(confusion: Confusion) -> Values:
    """FP / (FP + TN): false positive rate; 0 is best."""
    _, false_positives, foreground, size = confusion
    return _ratio(false_positives, np.asarray(size) - foreground)


def accuracy(confusion: Confusion) -> Values:
    """(TP + TN) / N: overall accuracy."""
    true_positives, false_positives, foreground, size = confusion
    return _ratio(size - foreground - false_positives + true_positives, size)


def ber(confusion: Confusion) -> Values:
    """1 - (recall + specificity) / 2: balanced error rate; 0 is best. An empty mask has recall 0, so at least 0.5."""
    return 1 - (recall(confusion) + specificity(confusion)) / 2


def kappa(confusion: Confusion) -> Values:
    """(OA - p) / (1 - p) of the accuracy OA, with PySODMetrics' p; not Cohen's kappa.

    p is [(TP + FP)(TP + FN) + (TN + FN)(TN + TP)] / N^2. Cohen's chance agreement has TN + FP for TN + TP, so
    this one can exceed 1, and its values compare only with those of PySODMetrics.
    """
    true_positives, false_positives, foreground, size = (np.asarray(count, np.int64) for count in confusion)
    positives = true_positives + false_positives
    right = size - foreground - false_positives + true_positives
    chance = positives * foreground + (size - positives) * right  # p, times the size squared
    return _ratio(size * right - chance, size * size - chance)


def e_measure(confusion: Confusion) -> Values:
    """Enhanced alignment of two binary maps (Fan et al., arXiv:1805.10421), as PySODMetrics has it.

    With a = decision - its mean, b = mask - its mean and phi = 2 a b / (a^2 + b^2), it is the sum of
    (phi + 1)^2 / 4 over pixels, divided by N - 1. A perfect decision has N / (N - 1), slightly above 1. For an
    empty (full) mask the sum is the number of negative (positive) pixels. Differs: an image of one pixel is
    divided by 1.
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
    """The numerator is 0 where the denominator is."""
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
"""The measures by the name that functions and `Evaluator` know them by."""
