"""Drawings for synthetic scenes: foreground shapes and textured grounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.uint8]
"""(S, S), 0 or 255."""
Texture = NDArray[np.float32]
"""(S, S, 3) in [0, 1]."""
Shape = Callable[[np.random.Generator, int], Canvas]


def wheel(rng: np.random.Generator, size: int) -> Canvas:
    """A wheel or two: rim, hub and spokes."""
    canvas = _blank(size)
    count = int(rng.integers(1, 3))
    for index in range(count):
        radius = size * rng.uniform(0.16, 0.24) if count == 2 else size * rng.uniform(0.22, 0.36)
        center = size * np.array([0.27 + 0.46 * index, 0.55]) if count == 2 else size * rng.uniform(0.4, 0.6, 2)
        _circle(canvas, center, radius, width=size * rng.uniform(0.012, 0.03))
        _circle(canvas, center, radius * 0.12)
        spokes = int(rng.integers(10, 26))
        for spoke in range(spokes):
            angle = 2 * math.pi * spoke / spokes
            rim = center + radius * np.array([math.cos(angle), math.sin(angle)])
            _line(canvas, center, rim, size * 0.005)
    if count == 2:  # a frame between the wheels
        joints = size * np.array([[0.27, 0.55], [0.42, 0.3], [0.66, 0.3], [0.73, 0.55], [0.5, 0.56]])
        for start, end in ((0, 1), (1, 2), (2, 3), (1, 4), (4, 2), (0, 4)):
            _line(canvas, joints[start], joints[end], size * 0.014)
        _line(canvas, size * np.array([0.36, 0.27]), size * np.array([0.46, 0.27]), size * 0.025)
        _line(canvas, joints[2], size * np.array([0.68, 0.22]), size * 0.012)
        _line(canvas, size * np.array([0.63, 0.21]), size * np.array([0.75, 0.22]), size * 0.012)
    return canvas


def mesh(rng: np.random.Generator, size: int) -> Canvas:
    """A net in a frame: the ground is seen through its holes."""
    canvas = _blank(size)
    low, high = size * rng.uniform(0.12, 0.3, 2), size * rng.uniform(0.6, 0.88, 2)
    step, thin = size * rng.uniform(0.04, 0.08), size * rng.uniform(0.004, 0.009)
    slant = rng.choice([0.0, 1.0])
    for offset in np.arange(-size, 2 * size, step):
        _line(canvas, np.array([offset, 0]), np.array([offset + slant * size, size]), thin)
        start = np.array([offset, 0]) if slant else np.array([0, offset])
        _line(canvas, start, np.array([offset - size, size]) if slant else np.array([size, offset]), thin)
    inside = _blank(size)
    cv2.rectangle(inside, _point(low), _point(high), 255, -1)
    canvas &= inside
    cv2.rectangle(canvas, _point(low), _point(high), 255, _width(size * rng.uniform(0.015, 0.035)))
    for corner in (low[0], high[0]):
        _line(canvas, np.array([corner, high[1]]), np.array([corner, size]), size * 0.03)
    return canvas


def tree(rng: np.random.Generator, size: int) -> Canvas:
    """A branching tree, with leaves now and then."""
    canvas = _blank(size)
    leaves = rng.random() < 0.4

    def branch(start: NDArray[np.float64], angle: float, length: float, width: float, depth: int) -> None:
        end = start + length * np.array([math.cos(angle), -math.sin(angle)])
        _line(canvas, start, end, width)
        if depth == 0:
            if leaves:
                _circle(canvas, end, size * rng.uniform(0.008, 0.02))
            return
        for side in (-1, 1):
            turn = side * rng.uniform(0.25, 0.65)
            branch(
                end,
                angle + turn,
                length * rng.uniform(0.65, 0.85),
                max(width * 0.66, size * 0.004),
                depth - 1,
            )

    foot = size * np.array([rng.uniform(0.35, 0.65), rng.uniform(0.9, 1.02)])
    branch(foot, math.pi / 2 + rng.uniform(-0.1, 0.1), size * rng.uniform(0.2, 0.26), size * 0.035, 6)
    return canvas


def strands(rng: np.random.Generator, size: int) -> Canvas:
    """A head of hair, or a tuft of grass: a body with many thin curves on it."""
    canvas = _blank(size)
    center = size * rng.uniform([0.4, 0.5], [0.6, 0.7])
    radius = size * rng.uniform(0.12, 0.2)
    body = (_width(radius), _width(radius * rng.uniform(1.0, 1.3)))
    cv2.ellipse(canvas, _point(center), body, 0, 0, 360, 255, -1)
    steps = np.linspace(0, 1, 12)[:, None]
    for _ in range(int(rng.integers(60, 120))):
        angle = rng.uniform(-math.pi, math.pi) if rng.random() < 0.15 else rng.uniform(-0.95, -0.05) * math.pi
        outward = np.array([math.cos(angle), math.sin(angle)])
        sideways = np.array([-outward[1], outward[0]]) * rng.normal(0, 0.5)
        length = radius * rng.uniform(0.5, 1.5)
        curve = center + outward * radius * 0.9 + steps * length * outward + steps**2 * length * sideways
        _polyline(canvas, curve, size * rng.uniform(0.003, 0.006))
    return canvas


def ship(rng: np.random.Generator, size: int) -> Canvas:
    """A ship with masts, yards and rigging."""
    canvas = _blank(size)
    water = size * rng.uniform(0.72, 0.85)
    left, right = size * rng.uniform(0.1, 0.2), size * rng.uniform(0.8, 0.9)
    keel = size * 0.1
    hull = np.array([[left, water - keel], [right, water - keel * 1.3], [right - keel, water], [left + keel, water]])
    _polygon(canvas, hull)
    tops = []
    for place in np.linspace(0.3, 0.7, int(rng.integers(2, 4))):
        foot = np.array([left + place * (right - left), water - keel])
        top = foot - np.array([0, size * rng.uniform(0.4, 0.58)])
        tops.append(top)
        _line(canvas, foot, top, size * 0.014)
        for height in (0.3, 0.6, 0.85):
            middle, half = top + (1 - height) * (foot - top), size * 0.11 * (1.2 - height)
            _line(canvas, middle - [half, 0], middle + [half, 0], size * 0.008)
            for end in (-half, half):
                _line(canvas, top, middle + [end, 0], size * 0.0035)
        for spread in (-0.1, -0.05, 0.05, 0.1):
            _line(canvas, top, foot + [spread * size, 0], size * 0.0035)
        if rng.random() < 0.5:
            _polygon(
                canvas,
                np.array([top + [0, 0.1 * size], foot - [0, 0.12 * size], foot + [0.1 * size, -0.12 * size]]),
            )
    for start, end in zip([hull[0], *tops], [*tops, hull[1]], strict=True):
        _line(canvas, start, end, size * 0.0035)
    return canvas


def gear(rng: np.random.Generator, size: int) -> Canvas:
    """A toothed wheel with round holes."""
    canvas = _blank(size)
    center, radius = size * rng.uniform(0.38, 0.62, 2), size * rng.uniform(0.2, 0.34)
    teeth = int(rng.integers(12, 28))
    angles = np.linspace(0, 2 * math.pi, 4 * teeth, endpoint=False)
    reach = radius * np.where(np.arange(4 * teeth) % 4 < 2, 1.0, 0.86)
    _polygon(canvas, center + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    holes = int(rng.integers(4, 9))
    for hole in range(holes):
        angle = 2 * math.pi * hole / holes
        place = center + 0.55 * radius * np.array([math.cos(angle), math.sin(angle)])
        _circle(canvas, place, radius * 1.1 / holes, value=0)
    _circle(canvas, center, radius * 0.14, value=0)
    return canvas


def tower(rng: np.random.Generator, size: int) -> Canvas:
    """A lattice tower with wires."""
    canvas = _blank(size)
    middle, foot, top = size * rng.uniform(0.4, 0.6), size * 0.97, size * rng.uniform(0.06, 0.2)
    base, levels = size * rng.uniform(0.14, 0.24), int(rng.integers(6, 10))
    heights = np.linspace(foot, top, levels)
    halves = base * np.linspace(1, 0.12, levels) ** 1.4
    for index in range(levels - 1):
        corners = [
            np.array([middle + side * halves[level], heights[level]])
            for level in (index, index + 1)
            for side in (-1, 1)
        ]
        for start, end in ((0, 2), (1, 3), (0, 3), (1, 2), (2, 3)):
            _line(canvas, corners[start], corners[end], size * 0.008)
    for level in range(levels - 3, levels - 1):
        arm = size * rng.uniform(0.12, 0.2)
        ends = [np.array([middle + side * arm, heights[level]]) for side in (-1, 1)]
        _line(canvas, ends[0], ends[1], size * 0.01)
        for tip, border in zip(ends, (0.0, float(size)), strict=True):
            _line(canvas, tip, np.array([border, tip[1] + size * 0.1]), size * 0.0035)
    return canvas


def chair(rng: np.random.Generator, size: int) -> Canvas:
    """A chair with a slatted back."""
    canvas = _blank(size)
    left, right = size * rng.uniform(0.22, 0.32), size * rng.uniform(0.66, 0.78)
    top, seat, foot = size * rng.uniform(0.08, 0.18), size * rng.uniform(0.5, 0.6), size * 0.94
    shift, leg = size * rng.uniform(0.05, 0.1), size * rng.uniform(0.018, 0.03)
    _polygon(
        canvas,
        np.array([[left, seat], [right, seat], [right + shift, seat + shift], [left - shift, seat + shift]]),
    )
    for x, start in (
        (left, top),
        (right, top),
        (left - shift + leg, seat + shift),
        (right + shift - leg, seat + shift),
    ):
        _line(canvas, np.array([x, start]), np.array([x, foot - (shift if start == top else 0)]), leg)
    for y in (top + leg, (top + seat) / 2):
        _line(canvas, np.array([left, y]), np.array([right, y]), leg)
    for x in np.linspace(left, right, int(rng.integers(5, 10)))[1:-1]:
        _line(canvas, np.array([x, top]), np.array([x, seat]), size * 0.009)
    return canvas


SHAPES: tuple[Shape, ...] = (wheel, mesh, tree, strands, ship, gear, tower, chair)


def ground(rng: np.random.Generator, size: int) -> Texture:
    """A textured background: noise over a gradient, with planks, bricks, blobs or lines of its own."""
    colors = np.stack([_color(rng), _color(rng)])
    slope = np.linspace(0, 1, size, dtype=np.float32)
    ramp = slope[:, None, None] if rng.random() < 0.7 else slope[None, :, None]
    picture = np.broadcast_to(colors[0] * (1 - ramp) + colors[1] * ramp, (size, size, 3)).copy()
    kind = int(rng.integers(5))
    if kind == 1:  # planks
        step = max(size * rng.uniform(0.06, 0.16), 2)
        shades = rng.uniform(0.75, 1.1, size // int(step) + 2).astype(np.float32)
        places = np.arange(size) / step
        picture *= (shades[places.astype(int)] * np.where(places % 1 < 0.05, 0.6, 1))[:, None, None]
    elif kind == 2:  # out-of-focus lights
        for _ in range(int(rng.integers(10, 25))):
            color = _color(rng).tolist()
            radius = _width(size * rng.uniform(0.02, 0.1))
            cv2.circle(picture, _point(rng.uniform(0, size, 2)), radius, color, -1)
        picture = _blurred(picture, size * 0.012)
    elif kind == 3:  # leaves
        for scale in (6, 14, 30):
            leaves = noise(rng, size, cells=scale)[..., None]
            picture = np.where(leaves > 0.6, picture * rng.uniform(0.6, 1.3, 3), picture)
    elif kind == 4:  # lines that distract
        for _ in range(int(rng.integers(4, 12))):
            ends = rng.uniform(0, size, (2, 2))
            color = _color(rng).tolist()
            cv2.line(picture, _point(ends[0]), _point(ends[1]), color, _width(size * rng.uniform(0.004, 0.02)))
        picture = _blurred(picture, size * 0.004)
    return _grained(rng, picture.astype(np.float32), strength=rng.uniform(0.08, 0.25))


def surface(rng: np.random.Generator, size: int, *, away_from: NDArray[np.float32]) -> Texture:
    """A lit, grained foreground of one or two colours, told apart from the mean colour `away_from`."""
    candidates = np.stack([_color(rng) for _ in range(12)])
    distances = np.abs(candidates - away_from).mean(axis=1)
    base = candidates[np.argmax(distances > min(0.3, distances.max() - 1e-6))]
    angle = rng.uniform(0, 2 * math.pi)
    place = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    light = 1 + 0.5 * (math.cos(angle) * place[None, :] + math.sin(angle) * place[:, None])
    return _grained(rng, (base * light[..., None]).astype(np.float32), strength=rng.uniform(0.05, 0.25))


def noise(rng: np.random.Generator, size: int, *, cells: int) -> NDArray[np.float32]:
    """Smooth noise in [0, 1], `cells` bumps a side: (S, S)."""
    coarse = rng.random((cells + 1, cells + 1), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def _color(rng: np.random.Generator) -> NDArray[np.float32]:
    """A muted colour: (3,) in [0, 1]."""
    grey, hue = rng.uniform(0.08, 0.92), rng.uniform(-0.5, 0.5, 3)
    return np.clip(grey + 0.6 * (hue - hue.mean()), 0.02, 0.98).astype(np.float32)


def _grained(rng: np.random.Generator, picture: Texture, *, strength: float) -> Texture:
    size = picture.shape[0]
    grain = sum(noise(rng, size, cells=cells) - 0.5 for cells in (4, 12, 40, min(160, size)))
    return np.clip(picture * (1 + strength * np.asarray(grain, dtype=np.float32)[..., None]), 0, 1)


def _blurred(picture: Texture, sigma: float) -> Texture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3)), dtype=np.float32)


def _blank(size: int) -> Canvas:
    return np.zeros((size, size), np.uint8)


def _point(place: NDArray[Any]) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))


def _width(width: float) -> int:
    return max(round(float(width)), 1)


def _line(canvas: Canvas, start: NDArray[Any], end: NDArray[Any], width: float) -> None:
    cv2.line(canvas, _point(start), _point(end), 255, _width(width))


def _polyline(canvas: Canvas, points: NDArray[np.float64], width: float) -> None:
    cv2.polylines(canvas, [points.round().astype(np.int32)], False, 255, _width(width))


def _polygon(canvas: Canvas, points: NDArray[np.float64]) -> None:
    cv2.fillPoly(canvas, [points.round().astype(np.int32)], 255)


def _circle(
    canvas: Canvas,
    center: NDArray[np.float64],
    radius: float,
    *,
    width: float | None = None,
    value: int = 255,
) -> None:
    cv2.circle(canvas, _point(center), _width(radius), value, -1 if width is None else _width(width))
