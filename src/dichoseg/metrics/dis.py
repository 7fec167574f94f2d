"""MAE, F-measure and HCE as the DIS repository computes them during training (`protocol="dis"` of `Evaluator`).

Not comparable with PySODMetrics' metrics of the same names. Differs from DIS: float64 instead of float32, and a
constant prediction is not normalized, while DIS gives NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Metric
from .binary import cut_above_128
from .correction import hce
from .pair import Pair

OFFSET = 1e-4
"""Constant that DIS adds to denominators."""


def gray_error(pair: Pair) -> float:
    """Compute the mean absolute difference between prediction and mask, without binarizing a uint8 mask."""
    mask = pair.mask / 255 if pair.mask.dtype == np.uint8 else pair.mask
    return float(np.abs(pair.values - mask).sum()) * 255 / (255 * pair.size + OFFSET)


def precision_recall(pair: Pair) -> NDArray[np.float64]:
    """Compute precision and recall at the thresholds 254, 253, ... 0: (2, 255). Levels 254 and 255 share the first."""
    true_positives, false_positives, foreground, _ = pair.curve
    true_positives, false_positives = np.asarray(true_positives)[1:], np.asarray(false_positives)[1:]
    precision = true_positives / (true_positives + false_positives + OFFSET)
    return np.stack([precision, true_positives / (foreground + OFFSET)])


def best_f(curves: NDArray[Any], *, offset: float) -> float:
    """Return the highest F-measure, b = 0.3, of precision and recall (2, 255)."""
    precision, recall = curves
    return float((1.3 * precision * recall / (0.3 * precision + recall + offset)).max())


RECORDS: Mapping[str, Metric] = MappingProxyType(
    {
        "mae": Metric(
            "mae",
            gray_error,
            higher_is_better=False,
            definition="mean absolute difference between prediction and gray mask, averaged over images",
        ),
        "max_f": Metric(
            "max_f",
            lambda pair: best_f(precision_recall(pair), offset=OFFSET),
            definition="best F, beta squared 0.3, of precision and recall that are averaged over images first; "
            "255 thresholds",
        ),
        "hce": Metric(
            "hce",
            lambda pair: hce(*cut_above_128(pair.prediction, pair.foreground), skeleton=pair.skeleton).total,
            higher_is_better=False,
            definition="human correction effort (Qin et al., 2022), gamma 5, epsilon 2, of the file above level 128, "
            "averaged",
        ),
    }
)
"""The three metrics; over a data set, `max_f` is computed from the averages of `precision_recall`."""
