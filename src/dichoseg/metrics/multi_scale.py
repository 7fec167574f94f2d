"""Multi-scale IoU of the outlines in one image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .pair import Pair

LEVELS = 10
"""Number of cell sizes: 1, 2, 4, ... 512 pixels."""


def adaptive_msiou(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """Compute the multi-scale IoU at twice the prediction's mean, as in PySODMetrics.

    This is the fraction of the mask's outline that the prediction's outline meets, in cells of 1 to 512 pixels,
    averaged over the ten sizes; the first and the last have half the weight. The denominator is only the
    mask's outline, so extra outlines cost nothing.

    Source: Ahmadzadeh et al. (arXiv:2105.14572). Differs: counts are ints; PySODMetrics' are float16 and fail for long
    outlines.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return at_adaptive(Pair(prediction, mask, normalize=normalize))


def binary_msiou(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> float:
    """Compute the multi-scale IoU above 0.5; see `adaptive_msiou`.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return at_half(Pair(prediction, mask, normalize=normalize))


def msiou_curve(prediction: NDArray[Any], mask: NDArray[Any], *, normalize: bool = True) -> NDArray[np.float64]:
    """Compute the multi-scale IoU at all gray levels: (257,), index i for "gray level is at least i".

    At index 0 everything is positive, at index 256 nothing. See `adaptive_msiou`.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    pair = Pair(prediction, mask, normalize=normalize)
    cells = _cells(pair.foreground)
    values = np.full(257, _agreement(cells, np.zeros_like(pair.foreground)))
    at_most = 0
    for level in np.unique(pair.gray).tolist():  # constant between two levels
        values[at_most : level + 1] = _agreement(cells, pair.gray >= level)
        at_most = level + 1
    return values


def at_adaptive(pair: Pair) -> float:
    """Compute `adaptive_msiou` of a pair."""
    return _agreement(_cells(pair.foreground), pair.values >= pair.adaptive_threshold)


def at_half(pair: Pair) -> float:
    """Compute `binary_msiou` of a pair."""
    return _agreement(_cells(pair.foreground), pair.values > 0.5)


def _agreement(cells: list[NDArray[np.uint8]], positive: NDArray[np.bool_]) -> float:
    """Average (trapezoidal) over the sizes the fraction of the mask's outline that the outline of `positive` meets."""
    ratios = [
        (np.count_nonzero(theirs & ours) + 1) / (np.count_nonzero(ours) + 1)
        for ours, theirs in zip(cells, _cells(positive), strict=True)
    ]
    return float(sum(ratios) - (ratios[0] + ratios[-1]) / 2) / (LEVELS - 1)


def _cells(binary: NDArray[np.bool_]) -> list[NDArray[np.uint8]]:
    """Mark the outline in cells of 1, 2, 4, ... pixels, aligned to the bottom right."""
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
