"""Metrics of the boundary: Boundary IoU and mean boundary accuracy."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .binary import Binary, cut_above_128

SQUARE = np.ones((3, 3), np.uint8)


def boundary_iou(prediction: NDArray[Any], mask: NDArray[Any], *, width: float = 0.02) -> float:
    """Intersection over union of the inner boundaries of prediction and mask; 1 is best.

    After Cheng et al. (arXiv:2103.16562). A boundary is what lies within some pixels of the outside, measured along
    rows, columns and diagonals; the outside of the image is outside. The prediction is cut above 128, as it is. NaN
    if both are empty. BiRefNet's "BIoU" is another number, of boundaries of grey images.

    Args:
        prediction: (H, W), uint8 (above 128), or float in [0, 1] (above 128 / 255), or bool.
        mask: (H, W), uint8 (foreground above 128) or bool.
        width: Width of a boundary, as a share of the image's diagonal; at least one pixel.

    Raises:
        ValueError: Shapes that differ or are not (H, W), an empty image, values outside of [0, 1], NaN, a width
            that is not positive.
        TypeError: Arrays of other types.
    """
    positive, foreground = cut_above_128(prediction, mask)
    if not width > 0:
        raise ValueError(f"width must be positive; got {width}")
    pixels = max(1, round(width * math.hypot(*foreground.shape)))
    found, wanted = _inner_boundary(positive, pixels), _inner_boundary(foreground, pixels)
    union = np.count_nonzero(found | wanted)
    return float(np.count_nonzero(found & wanted) / union) if union else math.nan


def mean_boundary_accuracy(prediction: NDArray[Any], mask: NDArray[Any]) -> float:
    """Share of right pixels near the mask's boundary, averaged over five widths (mBA); 1 is best.

    After CascadePSP (arXiv:2005.02551). The widths grow from 3 pixels with the image's size; all are 3 where height
    and width add up to less than 675. The prediction is cut above 128, as it is. NaN if the mask is empty or full,
    for then it has no boundary.

    Args:
        prediction: (H, W), uint8 (above 128), or float in [0, 1] (above 128 / 255), or bool.
        mask: (H, W), uint8 (foreground above 128) or bool.

    Raises:
        ValueError: Shapes that differ or are not (H, W), an empty image, values outside of [0, 1], NaN.
        TypeError: Arrays of other types.
    """
    positive, foreground = cut_above_128(prediction, mask)
    if foreground.all() or not foreground.any():
        return math.nan
    right = positive == foreground
    grey = foreground.view(np.uint8)
    accuracies: dict[int, float] = {}
    radii = [1 + int((sum(foreground.shape) / 300 - 1) / 5 * step) for step in range(5)]
    for radius in set(radii):
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        near = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, ellipse).view(np.bool_)
        accuracies[radius] = float(np.count_nonzero(right & near) / np.count_nonzero(near))
    return sum(accuracies[radius] for radius in radii) / len(radii)


def _inner_boundary(area: Binary, pixels: int) -> Binary:
    """Pixels of the area from which a step of some pixels leads out of it."""
    grey = area.view(np.uint8)
    inside = cv2.erode(grey, SQUARE, iterations=pixels, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return (grey - inside).view(np.bool_)
