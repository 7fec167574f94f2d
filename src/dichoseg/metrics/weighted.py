"""Weighted F-measure of one image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .measures import EPSILON
from .pair import Pair

NEAR = 4
"""Search radius: if a foreground pixel is within 3 rows and columns, the nearest one is within 4 of both."""

MARGIN = NEAR + 3
"""Rows above and below a strip on which its smoothed errors depend."""
STRIP = 128
"""Rows that are processed at a time."""


def weighted_f_measure(
    prediction: NDArray[Any], mask: NDArray[Any], *, beta_squared: float = 1.0, normalize: bool = True
) -> float:
    """Compute the weighted F-measure (Margolin et al., CVPR 2014), as in PySODMetrics; 0 for an empty mask.

    Errors inside the object are smoothed along it (7 x 7 Gaussian, sigma 5). Errors outside have weights from 1 to 2,
    which grow with the distance from the object. Of several nearest foreground pixels, the one in the lowest column,
    then in the lowest row, is used, as in `scipy.ndimage.distance_transform_edt`.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        beta_squared: Constant b; 1 here, unlike the 0.3 of the other F-measures.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return weighted(Pair(prediction, mask, normalize=normalize), beta_squared=beta_squared)


def weighted(pair: Pair, *, beta_squared: float = 1.0) -> float:
    """Compute `weighted_f` of a pair."""
    if pair.area == 0:
        return 0.0
    height = len(pair.foreground)
    inside, outside = 0.0, 0.0
    distances = _distances(pair.foreground)
    for top in range(0, height, STRIP):
        # strips stay in the processor's cache and keep peak memory low
        bottom = min(top + STRIP, height)
        first = max(top - MARGIN, 0)
        rows, inner = slice(first, min(bottom + MARGIN, height)), slice(top - first, bottom - first)
        of_foreground, of_background = _strip_errors(pair, rows, inner, distances[top:bottom])
        inside += of_foreground
        outside += of_background
    true_positives = pair.area - inside
    recall = 1 - inside / pair.area
    precision = true_positives / (true_positives + outside + EPSILON)
    return (1 + beta_squared) * recall * precision / (recall + beta_squared * precision + EPSILON)


def _distances(foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Compute each pixel's distance to the foreground: (H, W). OpenCV is slow at widths of 2^n: pad by 16 columns."""
    padded = cv2.copyMakeBorder((~foreground).view(np.uint8), 0, 0, 0, 16, cv2.BORDER_CONSTANT, value=1)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[:, :-16], np.float32)


def _strip_errors(pair: Pair, rows: slice, inner: slice, distances: NDArray[np.float32]) -> tuple[float, float]:
    """Sum the weighted errors of the foreground and of the background in some rows of an image.

    Args:
        pair: Prediction and mask of the image.
        rows: Rows to read.
        inner: Rows to sum, counted from the first row to read; `rows` includes all their neighbors.
        distances: Distances to the foreground in the rows to sum.
    """
    foreground = pair.foreground[rows]
    ones = foreground.astype(np.float64)
    error = pair.values_of(rows)
    np.subtract(error, ones, out=error)
    np.abs(error, out=error)
    rank = _nearest(foreground)
    near = np.flatnonzero((rank > 0) & (rank < len(_ORDER)))  # rank 0 is foreground
    carried = error * ones
    carried.ravel()[near] = error.ravel().take(near + _offsets(foreground.shape[1])[rank.ravel()[near]])
    smoothed = cv2.sepFilter2D(carried, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN, borderType=cv2.BORDER_CONSTANT)
    error, smoothed = error[inner], smoothed[inner]
    inside = np.vdot(np.minimum(error, smoothed, out=smoothed), ones[inner])
    squares = distances * distances
    np.rint(squares, out=squares)
    np.minimum(squares, len(_WEIGHTS) - 1, out=squares)
    outside = np.vdot(_WEIGHTS.take(squares.astype(np.intp)), error)
    return float(inside), float(outside)


def _nearest(foreground: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Find each pixel's nearest foreground pixel nearby, as its rank in `_ORDER`: (H, W); 255 if there is none."""
    height, width = foreground.shape
    # In each column: the nearest row, as an index into `_ROWS`; of two, the upper one.
    absent = np.where(np.pad(foreground, NEAR), np.uint8(0), np.uint8(255))
    column_best = np.full((height, width + 2 * NEAR), 255, np.uint8)
    candidate = np.empty_like(column_best)
    for index, row in enumerate(_ROWS):
        shifted = absent[NEAR + row : NEAR + row + height]
        candidate.fill(index)  # NumPy is many times slower with a scalar
        np.maximum(shifted, candidate, out=candidate)
        np.minimum(column_best, candidate, out=column_best)
    # Over the columns: the lowest rank.
    rank = np.full((height, width), 255, np.uint8)
    for column, lookup in _LOOKUPS.items():
        start = NEAR + column
        np.minimum(rank, cv2.LUT(column_best[:, start : start + width], lookup), out=rank)
    return rank


def _offsets(width: int) -> NDArray[np.int64]:
    """Return the offset of each rank's pixel in a flattened image of a given width."""
    return np.array([row * width + column for _, column, row in _ORDER])


def _lookup(column: int) -> NDArray[np.uint8]:
    """Map an index into `_ROWS` to the rank of that row in a column."""
    ranks = {(row, column): rank for rank, (_, column, row) in enumerate(_ORDER)}
    lookup = np.full(256, 255, np.uint8)
    lookup[: len(_ROWS)] = [ranks.get((row, column), 255) for row in _ROWS]
    return lookup


_GAUSSIAN = cv2.getGaussianKernel(7, 5.0)

_REACH = range(-NEAR, NEAR + 1)
_ORDER = sorted((r * r + c * c, c, r) for r in _REACH for c in _REACH if r * r + c * c <= 18)
"""Squared distance, column and row of nearby pixels, sorted in this order."""
_ROWS = sorted(_REACH, key=lambda row: (abs(row), row))
_LOOKUPS = {column: _lookup(column) for column in _REACH}
_WEIGHTS = 2 - np.exp(np.log(0.5) / 5 * np.sqrt(np.arange(300 * 300)))
_WEIGHTS[0] = 0
"""Weight of a background pixel by its squared distance to the foreground; 0 for a foreground pixel.

From 300 pixels on, the weight is 2 - 1e-18.
"""
