"""Multi-scale IoU of outlines of one image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .pair import Pair

LEVELS = 10
"""Cells of 1, 2, 4, ... 512 pixels."""


def adaptive_msiou(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """Multi-scale IoU (Ahmadzadeh et al., arXiv:2105.14572) at twice the prediction's mean, as PySODMetrics has it.

    How much of the mask's outline the prediction's outline meets, in cells of 1 to 512 pixels; the mean over the
    ten sizes, of which the first and the last count half. The denominator is the mask's outline alone, so outlines
    too many cost nothing. Differs: counts are whole, where PySODMetrics' are float16 and fail for long outlines.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    return at_adaptive(Pair(prediction, mask, normalize=normalize))


def binary_msiou(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """`adaptive_msiou`, but with the prediction cut at one half.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    return at_half(Pair(prediction, mask, normalize=normalize))


def msiou_curve(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> NDArray[np.float64]:
    """`adaptive_msiou`, but (257,): at index i with the prediction cut at grey level i, from "all" to "nothing".

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    pair = Pair(prediction, mask, normalize=normalize)
    cells = _cells(pair.foreground)
    values = np.full(257, _agreement(cells, np.zeros_like(pair.foreground)))
    at_most = 0
    for level in np.unique(pair.grey).tolist():  # between two levels nothing changes
        values[at_most : level + 1] = _agreement(cells, pair.grey >= level)
        at_most = level + 1
    return values


def at_adaptive(pair: Pair) -> float:
    """`adaptive_msiou` of a pair."""
    return _agreement(_cells(pair.foreground), pair.values >= pair.adaptive_threshold)


def at_half(pair: Pair) -> float:
    """`binary_msiou` of a pair."""
    return _agreement(_cells(pair.foreground), pair.values > 0.5)


def _agreement(cells: list[NDArray[np.uint8]], positive: NDArray[np.bool_]) -> float:
    """Trapezoid, over the sizes, of the share of the mask's outline that the outline of `positive` meets."""
    ratios = [
        (np.count_nonzero(theirs & ours) + 1) / (np.count_nonzero(ours) + 1)
        for ours, theirs in zip(cells, _cells(positive), strict=True)
    ]
    return float(sum(ratios) - (ratios[0] + ratios[-1]) / 2) / (LEVELS - 1)


def _cells(binary: NDArray[np.bool_]) -> list[NDArray[np.uint8]]:
    """Where the outline is, in cells of 1, 2, 4, ... pixels, of which the last ends at the bottom right."""
    image = binary.view(np.uint8)
    gradients = (
        cv2.Sobel(image, cv2.CV_16S, 1, 0, ksize=3, borderType=cv2.BORDER_CONSTANT),
        cv2.Sobel(image, cv2.CV_16S, 0, 1, ksize=3, borderType=cv2.BORDER_CONSTANT),
    )
    cells = [((gradients[0] | gradients[1]) != 0).view(np.uint8)]
    for _ in range(LEVELS - 1):
        finer = cells[-1]
        top, left = (length % 2 for length in finer.shape)
        finer = np.pad(finer, ((top, 0), (left, 0)))
        cells.append(finer[::2, ::2] | finer[1::2, ::2] | finer[::2, 1::2] | finer[1::2, 1::2])
    return cells
