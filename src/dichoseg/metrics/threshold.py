"""Mean absolute error and F-measures of one image.

Protocol (PySODMetrics 1.6): foreground of a mask is above 128; a prediction becomes float64 in [0, 1] and is
stretched to its own minimum and maximum unless it is constant or `normalize=False`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mae(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """Mean absolute difference between prediction and mask; 0 is best.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    probability, foreground = checked_pair(prediction, mask, normalize=normalize)
    return float(np.abs(probability - foreground).mean())


def f_curve(
    prediction: NDArray[Any], mask: NDArray[Any], *, beta_squared: float = 0.3, normalize: bool = True
) -> NDArray[np.float64]:
    """F-measure at each of 256 thresholds: (256,), index i for "grey level is at least 255 - i".

    Grey levels are the prediction times 255, truncated. With precision P = TP / (TP + FP) and recall R = TP / T,
    F = (1 + b) P R / (b P + R), and 0 where the numerator is (an empty mask: everywhere).

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        beta_squared: The constant b; 0.3 in this field.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    probability, foreground = checked_pair(prediction, mask, normalize=normalize)
    levels = (probability * 255).astype(np.uint8)
    counts = np.bincount(levels.ravel() + 256 * foreground.ravel(), minlength=512).reshape(2, 256)
    false_positive, true_positive = np.cumsum(counts[:, ::-1], axis=1)
    return _f(true_positive, false_positive, int(foreground.sum()), beta_squared)


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
    probability, foreground = checked_pair(prediction, mask, normalize=normalize)
    positive = probability >= min(2 * probability.mean(), 1)
    true_positive = np.array([np.count_nonzero(positive & foreground)])
    false_positive = np.count_nonzero(positive) - true_positive
    return float(_f(true_positive, false_positive, int(foreground.sum()), beta_squared)[0])


def checked_pair(
    prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Bring a prediction to float64 in [0, 1] and a mask to bool, as every metric here takes them.

    Raises:
        ValueError: Shapes that differ or are not (H, W), an empty image, values outside of [0, 1], NaN.
        TypeError: A prediction that is neither uint8 nor float, or a mask that is neither uint8 nor bool.
    """
    if prediction.ndim != 2 or prediction.shape != mask.shape or prediction.size == 0:
        raise ValueError(
            f"prediction and mask must be two (H, W) arrays of one size; got {prediction.shape} and {mask.shape}"
        )
    if mask.dtype not in (np.bool_, np.uint8):
        raise TypeError(f"mask must be uint8 or bool; got {mask.dtype}")
    foreground = mask if mask.dtype == np.bool_ else mask > 128
    if prediction.dtype == np.uint8:
        probability = prediction / 255
    elif np.issubdtype(prediction.dtype, np.floating):
        probability = prediction.astype(np.float64)
        if not (probability.min() >= 0 and probability.max() <= 1):
            raise ValueError(
                f"a float prediction must lie in [0, 1]; got {probability.min():.4g} to {probability.max():.4g}"
            )
    else:
        raise TypeError(f"prediction must be uint8 or float; got {prediction.dtype}")
    low, high = probability.min(), probability.max()
    if normalize and low != high:
        probability = (probability - low) / (high - low)
    return probability, foreground


def _f(
    true_positive: NDArray[np.integer[Any]],
    false_positive: NDArray[np.integer[Any]],
    foreground: int,
    beta_squared: float,
) -> NDArray[np.float64]:
    precision = true_positive / np.maximum(true_positive + false_positive, 1)
    recall = true_positive / max(foreground, 1)
    numerator = (1 + beta_squared) * precision * recall
    denominator = beta_squared * precision + recall
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=numerator > 0)
