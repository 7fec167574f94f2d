"""Weighted F-measure of one image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .measures import EPSILON
from .pair import Pair

NEAR = 4
"""A background pixel up to 3 from the foreground in rows and columns has its nearest one within 4 of both."""


def weighted_f_measure(
    prediction: NDArray[Any], mask: NDArray[Any], *, beta_squared: float = 1.0, normalize: bool = True
) -> float:
    """Weighted F-measure (Margolin et al., CVPR 2014), as PySODMetrics has it; 0 for an empty mask.

    Errors inside the object are smoothed along it (7 x 7 Gaussian, sigma 5), and those outside weigh 1 to 2, the
    farther from the object the more. Of several nearest foreground pixels the one of the lowest column, then of
    the lowest row counts, as with `scipy.ndimage.distance_transform_edt`.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        beta_squared: The constant b; 1 here, not the 0.3 of the other F-measures.
        normalize: Whether the prediction is stretched to [0, 1] first.
    """
    return weighted(Pair(prediction, mask, normalize=normalize), beta_squared=beta_squared)


def weighted(pair: Pair, *, beta_squared: float = 1.0) -> float:
    """`weighted_f` of a pair."""
    if pair.area == 0:
        return 0.0
    foreground = pair.foreground
    error = np.abs(pair.values - foreground)
    rank, offsets, squares = _nearest(foreground)
    near = np.flatnonzero((rank > 0) & (rank < len(offsets)))  # rank 0 is foreground
    carried = error * foreground
    carried.ravel()[near] = error.ravel().take(near + offsets[rank.ravel()[near]])
    smoothed = cv2.sepFilter2D(carried, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN, borderType=cv2.BORDER_CONSTANT)
    inside = np.minimum(error[foreground], smoothed[foreground])
    outside = _background_error(error, foreground, rank, squares)
    true_positives = pair.area - float(inside.sum())
    recall = 1 - float(inside.mean())
    precision = true_positives / (true_positives + outside + EPSILON)
    return (1 + beta_squared) * recall * precision / (recall + beta_squared * precision + EPSILON)


def _background_error(
    error: NDArray[np.float64], foreground: NDArray[np.bool_], rank: NDArray[np.uint8], squares: NDArray[np.int64]
) -> float:
    """Sum of the background's errors, each times 2 - exp(-ln 2 / 5 * distance to the foreground)."""
    wrong = np.flatnonzero((error > 0) & ~foreground)
    ranks = rank.ravel()[wrong]
    weight = np.append(_distance_weight(squares), np.zeros(256 - len(squares)))[ranks]
    far = wrong[ranks == 255]
    if len(far):
        # OpenCV is slow at widths that are powers of two: 16 columns of background more.
        padded = cv2.copyMakeBorder((~foreground).view(np.uint8), 0, 0, 0, 16, cv2.BORDER_CONSTANT, value=1)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[:, :-16]
        far_distance = distance.ravel()[far].astype(np.float64)
        weight[ranks == 255] = _distance_weight(np.rint(far_distance * far_distance))
    return float((error.ravel()[wrong] * weight).sum())


def _distance_weight(squares: NDArray[Any]) -> NDArray[np.float64]:
    return 2 - np.exp(np.log(0.5) / 5 * np.sqrt(squares))


def _nearest(foreground: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Which of the foreground pixels nearby is the nearest: rank (H, W), and of each rank its offset and distance.

    Ranks order the offsets of up to 4 rows and columns, and of at most sqrt(18), by distance, column and row; 255
    says that there is none. Offsets are those of the flattened image, distances are squared.
    """
    height, width = foreground.shape
    reach = range(-NEAR, NEAR + 1)
    order = sorted((r * r + c * c, c, r) for r in reach for c in reach if r * r + c * c <= 18)
    ranks = {(row, column): rank for rank, (_, column, row) in enumerate(order)}
    # In each column: the nearest row, as an index into `rows`; the upper one of two.
    rows = sorted(reach, key=lambda row: (abs(row), row))
    absent = np.where(np.pad(foreground, NEAR), np.uint8(0), np.uint8(255))
    column_best = np.full((height, width + 2 * NEAR), 255, np.uint8)
    for index, row in enumerate(rows):
        shifted = absent[NEAR + row : NEAR + row + height]
        np.minimum(column_best, np.maximum(shifted, np.uint8(index)), out=column_best)
    # Over the columns: the lowest rank.
    rank = np.full((height, width), 255, np.uint8)
    for column in reach:
        lookup = np.full(256, 255, np.uint8)
        lookup[: len(rows)] = [ranks.get((row, column), 255) for row in rows]
        start = NEAR + column
        np.minimum(rank, cv2.LUT(np.ascontiguousarray(column_best[:, start : start + width]), lookup), out=rank)
    squares, columns, rows_of = (np.array(part) for part in zip(*order, strict=True))
    return rank, rows_of * width + columns, squares


def _gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    weights = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma * sigma))
    return weights / weights.sum()


_GAUSSIAN = _gaussian(7, 5.0)
