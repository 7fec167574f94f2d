"""Boundary metrics: Boundary IoU and mean boundary accuracy."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checking import number
from .binary import Binary, cut_above_128

SQUARE = np.ones((3, 3), np.uint8)


def boundary_iou(prediction: NDArray[Any], mask: NDArray[Any], *, width: float = 0.02) -> float:
    """Compute the intersection over union of the inner boundaries of prediction and mask; 1 is best.

    The boundary is the part of the foreground within some pixels of the background, measured along rows, columns and
    diagonals; everything outside the image is background. The prediction is thresholded above 128 without
    normalization. NaN if both are empty. BiRefNet's "BIoU" is a different metric, on boundaries of gray images.

    Source: Cheng et al. (arXiv:2103.16562).

    Args:
        prediction: (H, W), uint8 (above 128), or float in [0, 1] (above 128 / 255), or bool.
        mask: (H, W), uint8 (foreground above 128) or bool.
        width: Width of the boundary, as a fraction of the image's diagonal; at least one pixel.
    """
    positive, foreground = cut_above_128(prediction, mask)
    pixels = max(1, round(number("width", width) * math.hypot(*foreground.shape)))
    found, wanted = _inner_boundary(positive, pixels), _inner_boundary(foreground, pixels)
    union = np.count_nonzero(found | wanted)
    return float(np.count_nonzero(found & wanted) / union) if union else math.nan


def mean_boundary_accuracy(prediction: NDArray[Any], mask: NDArray[Any]) -> float:
    """Compute the mean boundary accuracy (mBA): fraction of correct pixels near the mask's boundary; 1 is best.

    The fraction is averaged over five widths, which grow from 3 pixels with the image's size; all are 3 if height and
    width add up to less than 675. The prediction is thresholded above 128 without normalization. NaN if the mask is
    empty or full, since it then has no boundary.

    Source: CascadePSP (arXiv:2005.02551).

    Args:
        prediction: (H, W), uint8 (above 128), or float in [0, 1] (above 128 / 255), or bool.
        mask: (H, W), uint8 (foreground above 128) or bool.
    """
    positive, foreground = cut_above_128(prediction, mask)
    if foreground.all() or not foreground.any():
        return math.nan
    right = positive == foreground
    gray = foreground.view(np.uint8)
    accuracies: dict[int, float] = {}
    radii = [1 + int((sum(foreground.shape) / 300 - 1) / 5 * step) for step in range(5)]
    for radius in set(radii):
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        near = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, ellipse).view(np.bool_)
        accuracies[radius] = float(np.count_nonzero(right & near) / np.count_nonzero(near))
    return sum(accuracies[radius] for radius in radii) / len(radii)


def _inner_boundary(area: Binary, pixels: int) -> Binary:
    """Return the pixels of the area that are within `pixels` steps of its outside."""
    gray = area.view(np.uint8)
    inside = cv2.erode(gray, SQUARE, iterations=pixels, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return (gray - inside).view(np.bool_)
