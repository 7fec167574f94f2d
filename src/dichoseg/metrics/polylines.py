"""Open curves of pixels along a region's contours, and their simplification."""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .binary import Binary

Indices = NDArray[np.intp]


class Curves(NamedTuple):
    """Open curves, concatenated."""

    points: NDArray[np.int64]
    """Coordinates x and y: (N, 2)."""
    starts: Indices
    """Index of each curve's first point: (K,). Each curve has at least one point."""


def curves_along(region: NDArray[np.uint8], where: NDArray[np.uint8]) -> tuple[Curves, int]:
    """Return the parts of a region's contours where `where` is set, and the number of components without such a part.

    Contours are in OpenCV's order (`RETR_TREE`), which is the same from 4.10 to 5.0, and a pixel belongs to the first
    contour that visits it. If a contour has several parts and the end of its last touches the start of its first, the
    two become one curve: the last, then the first reversed. Published values were computed this way.

    Args:
        region: (H, W), 0 or 1; components are 8-connected.
        where: (H, W), 0 or 1.
    """
    contours, hierarchy = cv2.findContours(region, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return Curves(np.empty((0, 2), np.int64), np.empty(0, np.intp)), 0
    points = np.concatenate(contours)[:, 0]  # (N, 2)
    contour = np.repeat(np.arange(len(contours)), [len(c) for c in contours])
    kept = _first_visits(points[:, 1].astype(np.intp) * region.shape[1] + points[:, 0], where.ravel())
    points, contour = points[kept].astype(np.int64), contour[kept]
    owner, components = _components(hierarchy[0, :, 3])
    untouched = components - len(np.unique(owner[contour]))
    if not kept.size:
        return Curves(points, np.empty(0, np.intp)), untouched
    begins = np.flatnonzero(np.concatenate(([True], (np.diff(kept) != 1) | (np.diff(contour) != 0))))
    order, starts = _join(points, begins, contour[begins])
    return Curves(points[order], starts), untouched


def simplify_curves(curves: Curves, epsilon: float, distance: Literal["line", "segment"]) -> Binary:
    """Mark the points (N,) that remain after the Douglas-Peucker algorithm and OpenCV's cleanup.

    Curves keep their ends. If a point is farther than `epsilon` from the chord, the curve is split at the farthest
    point, or the first of several. Finally, a point is removed if it is close to the chord between its neighbors and
    that chord is oblique; the next point then stays. `cv2.approxPolyDP` does the same, with the distance to the
    chord's line before OpenCV 4.13, and to the chord itself since.

    Args:
        curves: Curves to simplify; no point may occur twice in one curve.
        epsilon: Distance in pixels.
        distance: Distance to the line through a chord's ends, or to the segment between them.
    """
    x, y = np.ascontiguousarray(curves.points.T)
    left, right = curves.starts, np.append(curves.starts, len(x))[1:] - 1
    left_over = np.zeros(len(x), np.bool_)
    left_over[left] = left_over[right] = True
    while True:
        between = right - left > 1
        if not between.any():
            break
        left, right = left[between], right[between]
        farthest, squared = _farthest(x, y, left, right, distance)
        chord = (x[right] - x[left]) ** 2 + (y[right] - y[left]) ** 2
        split = squared > epsilon**2 * chord
        left, middle, right = left[split], farthest[split], right[split]
        left_over[middle] = True
        left, right = np.concatenate((left, middle)), np.concatenate((middle, right))
    return _clean_up(x, y, left_over, curves.starts, epsilon)


def _first_visits(pixels: Indices, where: NDArray[np.uint8]) -> Indices:
    """Return the indices of the pixels where `where` is set, each pixel once."""
    kept = np.flatnonzero(where.take(pixels))
    pixels = pixels[kept]
    visits = np.arange(pixels.size)
    first = np.empty(where.size, np.intp)
    first[pixels[::-1]] = visits[::-1]
    return kept[first.take(pixels) == visits]


def _components(parent: NDArray[np.int32]) -> tuple[Indices, int]:
    """Return the outer contour of each contour's component, and the number of components.

    Contours are nested: outer contours in holes, holes in outer contours.
    """
    depth, ancestor = np.zeros(len(parent), np.intp), parent
    while (inside := ancestor >= 0).any():
        depth += inside
        ancestor = np.where(inside, parent[ancestor], -1)
    hole = depth % 2 == 1
    return np.where(hole, parent, np.arange(len(parent))), len(parent) - int(hole.sum())


def _join(points: NDArray[np.int64], begins: Indices, contour: Indices) -> tuple[Indices, Indices]:
    """Return the order of the points along the curves, and the curves' starts, for runs that start at `begins`."""
    lengths = np.diff(begins, append=len(points))
    first = np.flatnonzero(np.diff(contour, prepend=-1))  # the first run of each contour
    last = np.append(first[1:], len(begins)) - 1
    gap = np.abs(points[begins[last] + lengths[last] - 1] - points[begins[first]]).max(axis=1)
    join = (first != last) & (gap == 1)
    first, last = first[join], last[join]
    moved = np.zeros(len(begins), np.bool_)
    moved[first] = True
    goal = np.arange(len(begins), dtype=np.float64)
    goal[first] = last + 0.5
    runs = np.argsort(goal)
    begins, lengths, moved = begins[runs], lengths[runs], moved[runs]
    offsets = np.cumsum(lengths) - lengths
    step = np.where(moved, -1, 1)
    origin = np.where(moved, begins + lengths - 1, begins) - step * offsets
    order = np.repeat(origin, lengths) + np.repeat(step, lengths) * np.arange(len(points))
    return order, offsets[~moved]


def _farthest(
    x: NDArray[np.int64], y: NDArray[np.int64], left: Indices, right: Indices, distance: Literal["line", "segment"]
) -> tuple[Indices, NDArray[np.int64]]:
    """Find the point farthest from each chord, and its squared distance times the chord's squared length."""
    lengths = right - left - 1
    offsets = np.cumsum(lengths) - lengths
    points = np.arange(lengths.sum()) + np.repeat(left + 1 - offsets, lengths)
    dx, dy = x[right] - x[left], y[right] - y[left]
    px, py = x[points], y[points]
    cross = px * np.repeat(dy, lengths) - py * np.repeat(dx, lengths) - np.repeat(x[left] * dy - y[left] * dx, lengths)
    squared = cross * cross
    if distance == "segment":
        chord = np.repeat(dx * dx + dy * dy, lengths)
        along = px * np.repeat(dx, lengths) + py * np.repeat(dy, lengths)
        along -= np.repeat(x[left] * dx + y[left] * dy, lengths)
        for end, beyond in ((left, along < 0), (right, along > chord)):
            to_end = (px - np.repeat(x[end], lengths)) ** 2 + (py - np.repeat(y[end], lengths)) ** 2
            squared = np.where(beyond, to_end * chord, squared)
    most = np.maximum.reduceat(squared, offsets)
    hits = np.flatnonzero(squared == np.repeat(most, lengths))
    return points[hits[np.searchsorted(hits, offsets)]], most


def _clean_up(x: NDArray[np.int64], y: NDArray[np.int64], left_over: Binary, starts: Indices, epsilon: float) -> Binary:
    """Remove points close to the chord between their neighbors; of consecutive such points, every other one."""
    points = np.flatnonzero(left_over)
    inner = np.ones(len(left_over), np.bool_)
    inner[starts] = inner[np.append(starts, len(x))[1:] - 1] = False
    x, y = x[points], y[points]
    to_x, to_y = x - np.roll(x, 1), y - np.roll(y, 1)
    from_x, from_y = np.roll(x, -1) - x, np.roll(y, -1) - y
    dx, dy = to_x + from_x, to_y + from_y
    close = (to_x * dy - to_y * dx) ** 2 <= 0.5 * epsilon**2 * (dx * dx + dy * dy)
    close &= inner[points] & (dx != 0) & (dy != 0) & (to_x * from_x + to_y * from_y >= 0)
    place = np.arange(len(points))
    before = np.maximum.accumulate(np.where(close, -1, place))  # the last point that is not close
    cleaned = left_over.copy()
    cleaned[points[close & ((place - before) % 2 == 1)]] = False
    return cleaned
