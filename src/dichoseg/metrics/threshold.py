"""Errors and threshold measures of one image.

The protocol is that of `Pair`, the one of PySODMetrics. `measure_curve`, `adaptive_measure` and `binary_measure` take
any of `MEASURES`; the F-measure also has its own functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking import choice
from .measures import MEASURES, Confusion, Values, f_measure
from .pair import Pair


def mae(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """Compute the mean absolute difference between prediction and mask; 0 is best.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return Pair(prediction, mask, normalize=normalize).absolute_error


def mse(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """Compute the mean squared difference between prediction and mask; 0 is best.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return Pair(prediction, mask, normalize=normalize).squared_error


def e_measure(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> NDArray[np.float64]:
    """Compute the E-measure at each of 256 thresholds: (256,), index i for "gray level is at least 255 - i".

    Papers report the maximum and the mean of this enhanced-alignment measure. As published, it is divided by N - 1
    pixels, so a perfect prediction scores slightly above 1. `adaptive_measure(..., "e")` and
    `binary_measure(..., "e")` are its other variants.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return measure_curve(prediction, mask, "e", normalize=normalize)


def measure_curve(
    prediction: NDArray[Any], mask: NDArray[Any], measure: str, *, normalize: bool = True
) -> NDArray[np.float64]:
    """Compute a measure at each of 256 thresholds: (256,), index i for "gray level is at least 255 - i".

    Gray levels are the prediction times 255, truncated. At index 255 everything is positive.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        measure: Name of the measure: `"f"`, `"e"`, `"iou"`, `"dice"`, `"precision"`, `"recall"`, `"specificity"`,
            `"fpr"`, `"accuracy"`, `"ber"` or `"kappa"`.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return _measure(measure)(Pair(prediction, mask, normalize=normalize).curve)


def adaptive_measure(prediction: NDArray[Any], mask: NDArray[Any], measure: str, *, normalize: bool = True) -> float:
    """Compute a measure at the adaptive threshold, twice the prediction's mean, at most 1.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        measure: Name of the measure, as in `measure_curve`.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return float(_measure(measure)(Pair(prediction, mask, normalize=normalize).adaptive))


def binary_measure(prediction: NDArray[Any], mask: NDArray[Any], measure: str, *, normalize: bool = True) -> float:
    """Compute a measure of the prediction thresholded above 0.5.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        measure: Name of the measure, as in `measure_curve`.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return float(_measure(measure)(Pair(prediction, mask, normalize=normalize).binary))


def f_curve(
    prediction: NDArray[Any], mask: NDArray[Any], *, beta_squared: float = 0.3, normalize: bool = True
) -> NDArray[np.float64]:
    """Compute the F-measure at each of 256 thresholds: (256,), index i for "gray level is at least 255 - i".

    With precision P = TP / (TP + FP) and recall R = TP / T, F = (1 + b) P R / (b P + R). F is 0 if the numerator
    is 0, which is the case at all thresholds for an empty mask.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        beta_squared: Constant b; 0.3 in this field.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return f_measure(Pair(prediction, mask, normalize=normalize).curve, beta_squared=beta_squared)


def adaptive_f(
    prediction: NDArray[Any], mask: NDArray[Any], *, beta_squared: float = 0.3, normalize: bool = True
) -> float:
    """Compute the F-measure at the adaptive threshold, twice the prediction's mean, at most 1.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        beta_squared: Constant b, as in `f_curve`.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return float(f_measure(Pair(prediction, mask, normalize=normalize).adaptive, beta_squared=beta_squared))


def _measure(name: str) -> Callable[[Confusion], Values]:
    return MEASURES[choice("measure", name, MEASURES)]
