"""MAE and F-measure as the DIS repository takes them during training (`protocol="dis"` of `Evaluator`).

Not comparable with PySODMetrics' numbers of the same names. Differs from DIS: float64 in place of float32, and a
constant prediction is not stretched, where DIS has NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pair import Pair

OFFSET = 1e-4
"""What DIS adds to denominators."""


def grey_error(pair: Pair) -> float:
    """Mean absolute difference between prediction and mask; a uint8 mask is not binarised."""
    mask = pair.mask / 255 if pair.mask.dtype == np.uint8 else pair.mask
    return float(np.abs(pair.values - mask).sum()) * 255 / (255 * pair.size + OFFSET)


def precision_recall(pair: Pair) -> NDArray[np.float64]:
    """(2, 255): precision and recall at the thresholds 254, 253, ... 0; level 255 shares the first with 254."""
    true_positives, false_positives, foreground, _ = pair.curve
    true_positives, false_positives = np.asarray(true_positives)[1:], np.asarray(false_positives)[1:]
    precision = true_positives / (true_positives + false_positives + OFFSET)
    return np.stack([precision, true_positives / (foreground + OFFSET)])


def best_f(curves: NDArray[Any], *, offset: float) -> float:
    """Highest F-measure, b = 0.3, of precision and recall (2, 255)."""
    precision, recall = curves
    return float((1.3 * precision * recall / (0.3 * precision + recall + offset)).max())
