"""Thresholding of predictions and masks to bool arrays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .pair import Pair

Binary = NDArray[np.bool_]


def cut_at_half(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool) -> tuple[Binary, Binary]:
    """Return the prediction above 0.5 and the foreground of the mask: (H, W) each, contiguous.

    As in PySODMetrics, level 128 of an 8-bit prediction is 128 / 255, thus above 0.5, unless normalization changes it.

    Args:
        prediction: (H, W), uint8, or float in [0, 1], or bool, which is used unchanged.
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    if prediction.dtype == np.bool_:
        return _as_it_is(prediction, mask)
    pair = Pair(prediction, mask, normalize=normalize)
    if not pair.of_levels:
        return pair.values > 0.5, pair.foreground
    return cv2.LUT(pair.prediction, (pair.table > 0.5).view(np.uint8)).view(np.bool_), pair.foreground


def cut_above_128(prediction: NDArray[Any], mask: NDArray[Any]) -> tuple[Binary, Binary]:
    """Return the prediction above 128 (of 255), not normalized, and the mask's foreground: (H, W) each, contiguous.

    Args:
        prediction: (H, W), uint8, or float in [0, 1], or bool, which is used unchanged.
        mask: (H, W), uint8 (foreground above 128) or bool.
    """
    if prediction.dtype == np.bool_:
        return _as_it_is(prediction, mask)
    pair = Pair(prediction, mask, normalize=False)
    return pair.prediction > (128 if pair.of_levels else 128 / 255), pair.foreground


def _as_it_is(prediction: Binary, mask: NDArray[Any]) -> tuple[Binary, Binary]:
    pair = Pair(prediction.view(np.uint8), mask, normalize=False)
    return pair.prediction.view(np.bool_), pair.foreground
