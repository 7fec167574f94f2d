"""Canvas of a drawing: lines and areas in coordinates from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Canvas: TypeAlias = NDArray[np.uint8]
"""(S, S), 0 or 255."""
Path: TypeAlias = NDArray[np.floating[Any]]
"""(K, 2) points (x, y); (0, 0) is the top left of a canvas and (1, 1) the bottom right."""
HAIRLINE = 0.006
"""Width of the thinnest lines, as a fraction of the side: 1.5 pixels at 256."""


def blank(size: int) -> Canvas:
    """Return an empty canvas."""
    return np.zeros((size, size), np.uint8)


def ring(center: ArrayLike, radius: ArrayLike, angles: NDArray[Any]) -> Path:
    """Return points on a circle, at angles from the x axis."""
    return np.asarray(center) + np.asarray(radius)[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def circle(center: ArrayLike, radius: float, *, stretch: float = 1.0) -> Path:
    """Return a closed circle, or an ellipse of `stretch` times its height."""
    return np.asarray(center) + ring((0, 0), radius, np.linspace(0, 2 * math.pi, 49)) * [1, stretch]


def bezier(start: ArrayLike, bend: ArrayLike, end: ArrayLike, *, steps: int = 14) -> Path:
    """Return curves from `start` to `end` (..., 2), pulled toward `bend`: (..., steps, 2)."""
    first, middle, last = (np.asarray(place, dtype=np.float64)[..., None, :] for place in (start, bend, end))
    t = np.linspace(0, 1, steps)[:, None]
    return (1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last


def strokes(canvas: Canvas, paths: ArrayLike | Sequence[Path], width: float) -> None:
    """Draw lines; their width is a fraction of the side."""
    cv2.polylines(canvas, _pixels(canvas, paths), False, 255, max(round(width * canvas.shape[0]), 2), shift=4)


def fill(canvas: Canvas, paths: ArrayLike | Sequence[Path], *, value: int = 255) -> None:
    """Fill closed paths."""
    for path in _pixels(canvas, paths):
        cv2.fillPoly(canvas, [path], value, shift=4)


def _pixels(canvas: Canvas, paths: ArrayLike) -> list[NDArray[np.int32]]:
    return list(np.rint(np.asarray(paths) * canvas.shape[0] * 16).astype(np.int32))
