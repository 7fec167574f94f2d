"""Drawings for synthetic scenes: foreground shapes, backgrounds and surfaces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Canvas: TypeAlias = NDArray[np.uint8]
"""(S, S), 0 or 255."""
Field: TypeAlias = NDArray[np.float32]
"""(S, S)."""
Texture: TypeAlias = NDArray[np.float32]
"""(S, S, 3), RGB in [0, 1]."""
Path: TypeAlias = NDArray[np.floating[Any]]
"""(K, 2) points (x, y); (0, 0) is the top left of a canvas and (1, 1) the bottom right."""
Shape: TypeAlias = Callable[[np.random.Generator, int], Canvas]
Ground: TypeAlias = Callable[[np.random.Generator, int], Texture]

HAIRLINE = 0.006
"""Width of the thinnest lines, as a fraction of the side: 1.5 pixels at 256."""


def bicycle(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a bicycle: two spoked wheels, a frame, a saddle, handlebars and a chain."""
    canvas = _blank(size)
    radius = rng.uniform(0.19, 0.22)
    rear, front = np.array([0.24, 0.62]), np.array([0.76, 0.62])
    count = 2 * int(rng.integers(8, 14))
    for hub in (rear, front):
        _strokes(canvas, [_circle(hub, radius)], 0.024)
        _strokes(canvas, [_circle(hub, radius * 0.86)], HAIRLINE)
        angles = np.arange(count) * 2 * math.pi / count + rng.uniform(0, 1)
        tangents = angles + np.resize([1.2, -1.2], count)
        _strokes(canvas, np.stack([_ring(hub, 0.022, tangents), _ring(hub, radius, angles)], axis=1), HAIRLINE)
        _fill(canvas, [_circle(hub, 0.028)])
    crank, seat, head = np.array([0.48, 0.63]), np.array([0.41, 0.33]), np.array([0.67, 0.32])
    drop = head + [0.012, 0.05]
    _strokes(canvas, [[crank, seat], [seat + [0.005, 0.03], head], [crank, drop]], 0.022)
    _strokes(canvas, [[rear, seat + [0.01, 0.04]], [rear, crank], [head - [0.01, 0.05], drop]], 0.016)
    _strokes(canvas, [_bezier(drop, (0.7, 0.52), front)], 0.018)
    _strokes(canvas, [[crank, seat - [0.018, 0.075]], [head, head - [0.012, 0.07]]], 0.014)
    saddle = seat - [0.02, 0.08]
    _fill(canvas, [saddle + np.array([[-0.07, -0.022], [0.0, -0.015], [0.075, -0.012], [0.02, 0.012], [-0.06, 0.02]])])
    reach = rng.choice([-0.06, 0.07])
    _strokes(canvas, [_bezier(head - [0.012, 0.07], head + [reach * 1.6, -0.11], head + [reach, -0.035])], 0.016)
    _strokes(canvas, [_circle(crank, 0.052)], 0.014)
    _strokes(canvas, [[crank - [0, 0.05], rear - [0, 0.025]], [crank + [0, 0.05], rear + [0, 0.025]]], 0.008)
    pedal = _ring(crank, 0.095, np.array([0.0, math.pi]) + rng.uniform(0, math.pi))
    _strokes(canvas, [pedal], 0.013)
    _strokes(canvas, np.stack([pedal - [0.025, 0], pedal + [0.025, 0]], axis=1), 0.018)
    return canvas


def ferris(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a Ferris wheel: two rims with a lattice between them, cables, cabins and a stand."""
    canvas = _blank(size)
    center, radius, count = np.array([0.5, 0.43]), rng.uniform(0.34, 0.38), int(rng.integers(12, 19))
    angles = np.arange(2 * count + 1) * math.pi / count + rng.uniform(0, 1)
    inner = radius * rng.uniform(0.8, 0.86)
    _strokes(canvas, [_circle(center, radius), _circle(center, inner)], 0.014)
    _strokes(canvas, [_ring(center, np.resize([radius, inner], 2 * count + 1), angles)], 0.008)
    hub = _ring(center, 0.03, angles[::2] + np.resize([0.9, -0.9], count + 1))
    _strokes(canvas, np.stack([hub, _ring(center, inner, angles[::2])], axis=1), HAIRLINE)
    cabin = np.array([[-0.028, 0.012], [0.028, 0.012], [0.034, 0.055], [-0.034, 0.055]])
    for place in _ring(center, radius, angles[:-1:2]):
        _strokes(canvas, [[place, place + [-0.028, 0.02]], [place, place + [0.028, 0.02]]], 0.007)
        _fill(canvas, [place + cabin])
    spread = rng.uniform(0.16, 0.24)
    feet = np.array([[0.5 - spread, 0.97], [0.5 + spread, 0.97]])
    _strokes(canvas, [[feet[0], center], [feet[1], center]], 0.028)
    _strokes(canvas, [0.35 * center + 0.65 * feet], 0.014)
    _strokes(canvas, [feet + np.array([[-0.07, 0], [0.07, 0]])], 0.032)
    _fill(canvas, [_circle(center, 0.045)])
    return canvas


def fence(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a fence between posts: wire mesh, or wrought iron with spears and rings."""
    canvas = _blank(size)
    left, right, top, low = 0.08, 0.92, rng.uniform(0.16, 0.28), rng.uniform(0.78, 0.86)
    if rng.random() < 0.5:
        step = rng.uniform(0.05, 0.08)
        starts = np.arange(left - (low - top), right, step)
        falls = np.stack(
            [np.stack([starts, starts * 0 + top], -1), np.stack([starts + low - top, starts * 0 + low], -1)], 1
        )
        _strokes(canvas, np.concatenate([falls, falls * [-1, 1] + [left + right, 0]]), HAIRLINE * rng.uniform(1, 1.5))
        canvas[:, : round(left * size)] = 0
        canvas[:, round(right * size) :] = 0
        _strokes(canvas, [[[left, top], [right, top]], [[left, low], [right, low]]], 0.022)
    else:
        places = np.linspace(left, right, int(rng.integers(9, 15)))[1:-1]
        heights = top - 0.04 - rng.choice([-0.1, 0.1]) * np.cos((places - 0.5) * math.pi)
        bars = np.stack([np.stack([places, heights], -1), np.stack([places, places * 0 + 0.92], -1)], 1)
        _strokes(canvas, bars, 0.011)
        spear = np.array([[0, -0.06], [0.017, -0.02], [0.006, 0.01], [-0.006, 0.01], [-0.017, -0.02]])
        _fill(canvas, bars[:, :1] + spear)
        gap = places[1] - places[0]
        rails = np.array([[[left, y], [right, y]] for y in (top + 0.12, top + 0.12 + gap, low)])
        _strokes(canvas, rails, 0.014)
        _strokes(canvas, [_circle((x + gap / 2, top + 0.12 + gap / 2), gap * 0.42) for x in places[:-1]], 0.008)
    for x in (left, right):
        _strokes(canvas, [[[x, top - 0.05], [x, 0.96]]], 0.045)
        _fill(canvas, [_circle((x, top - 0.08), 0.038)])
    return canvas


def tree(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a branching tree, bare or with leaves."""
    canvas = _blank(size)
    leaves = rng.random() < 0.5
    start, angles = np.array([[0.5, 0.97]]), np.array([rng.normal(math.pi / 2, 0.08)])
    length, width = rng.uniform(0.18, 0.22), rng.uniform(0.045, 0.06)
    _fill(canvas, [start[0] + width * np.array([[-1.3, 0.1], [-0.45, -1.5], [0.45, -1.5], [1.3, 0.1]])])
    for level in range(7):
        lengths = length * rng.uniform(0.7, 1.15, len(angles))
        end = np.clip(_ring(start, lengths, -angles), 0.03, 0.97)
        bend = _ring(start, lengths / 2, -angles + rng.normal(0, 0.25, len(angles)))
        branches = _bezier(start, bend, end, steps=5)
        _strokes(canvas, branches, width)
        if leaves and level > 3:
            places = branches[:, 2::2].reshape(-1, 2) + rng.normal(0, 0.012, (2 * len(branches), 2))
            _strokes(
                canvas, np.stack([places, places + rng.normal(0, 0.009, places.shape)], 1), rng.uniform(0.014, 0.022)
            )
        start = np.repeat(end, 2, axis=0)
        angles = np.repeat(angles, 2) + np.resize([0.42, -0.42], 2 * len(angles)) * rng.uniform(
            0.4, 1.5, 2 * len(angles)
        )
        length, width = length * 0.78, max(width * 0.64, HAIRLINE)
    return canvas


def plant(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a tuft of grass in a pot."""
    canvas = _blank(size)
    count, rim, half = int(rng.integers(45, 90)), rng.uniform(0.66, 0.74), rng.uniform(0.14, 0.2)
    roots = np.stack([0.5 + rng.uniform(-0.85, 0.85, count) * half, np.full(count, rim + 0.01)], -1)
    lean = rng.normal(0, 0.14, count) + (roots[:, 0] - 0.5)
    rise = rng.uniform(0.25, 0.62, count) * (1 - 0.8 * np.abs(lean))
    tips = np.clip(roots + np.stack([lean * 1.4, -rise], -1), 0.03, 0.97)
    blades = _bezier(roots, roots + np.stack([lean * 0.3, -rise * rng.uniform(0.8, 1.25, count)], -1), tips)
    _strokes(canvas, blades, HAIRLINE)
    _strokes(canvas, blades[:, :8], 0.01)
    _strokes(canvas, blades[::2, :6], 0.015)
    if rng.random() < 0.5:
        _fill(canvas, [_circle(tip, 0.012) for tip in tips[::5]])
    foot = half * rng.uniform(0.55, 0.85)
    _fill(canvas, [[[0.5 - half, rim], [0.5 + half, rim], [0.5 + foot, 0.97], [0.5 - foot, 0.97]]])
    _fill(canvas, [[[0.48 - half, rim], [0.52 + half, rim], [0.515 + half, rim + 0.055], [0.485 - half, rim + 0.055]]])
    return canvas


def hair(rng: np.random.Generator, size: int) -> Canvas:
    """Draw head and shoulders, with hair in the wind."""
    canvas = _blank(size)
    width, wind = rng.uniform(0.125, 0.145), rng.uniform(-0.22, 0.22)
    head = np.array([0.5, 0.4])
    _fill(canvas, [_circle(head, width, stretch=1.35)])
    _fill(canvas, [head + np.array([[-0.065, 0.1], [0.065, 0.1], [0.08, 0.34], [-0.08, 0.34]])])
    shoulder = rng.uniform(0.24, 0.3)
    for side in (-1, 1):
        arm = _bezier((0.5 + side * 0.04, 0.6), (0.5 + side * shoulder, 0.64), (0.5 + side * (shoulder + 0.05), 0.99))
        _fill(canvas, [np.concatenate([arm, [[0.5 - side * 0.02, 0.99], [0.5 - side * 0.02, 0.6]]])])
    count = int(rng.integers(220, 320))
    angles = rng.uniform(-1.12, 0.12, count) * math.pi
    roots = _ring(head - [0, 0.035], width * rng.uniform(0.75, 1.08, count), angles)
    length = rng.uniform(0.12, 0.42) * rng.uniform(0.35, 1.1, count)
    out = _ring(roots, length * 0.55, angles)
    tips = out + np.stack([wind * rng.uniform(0.3, 1.2, count) * (1 + length), length], -1) * rng.uniform(
        0.3, 0.9, (count, 1)
    )
    tips = np.clip(tips, 0.02, 0.98)
    _strokes(canvas, _bezier(roots, out, tips), HAIRLINE * 0.9)
    _strokes(canvas, _bezier(roots, out, tips)[::2, :7], 0.011)
    return canvas


def ship(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a sailing ship with masts, yards, sails and rigging."""
    canvas = _blank(size)
    deck = _bezier((0.12, 0.74), (0.5, 0.84), (0.86, 0.72))
    hull = np.concatenate(
        [deck, _bezier((0.86, 0.72), (0.84, 0.92), (0.68, 0.93)), _bezier((0.3, 0.93), (0.15, 0.92), (0.12, 0.74))]
    )
    _fill(canvas, [hull])
    bow = np.array([0.98, 0.63])
    _strokes(canvas, [np.stack([(0.8, 0.76), bow])], 0.014)
    places = np.linspace(0.28, 0.7, int(rng.integers(2, 4)))
    tops = np.stack([places, 0.06 + rng.uniform(0, 0.1, len(places))], -1)
    furled = rng.random(len(places)) < 0.35
    for top, bare in zip(tops, furled, strict=True):
        foot = np.array([top[0], 0.78])
        _strokes(canvas, [[top, foot]], 0.017)
        yards = top[1] + np.array([0.1, 0.27, 0.45]) * (foot[1] - top[1]) / 0.72 * 1.15
        halves = np.array([0.055, 0.08, 0.1]) * (0.42 / (len(places) - 1) / 0.21) ** 0.4
        for y, half, drop in zip(yards, halves, np.diff(np.append(yards, foot[1] - 0.08)), strict=True):
            _strokes(canvas, [[(top[0] - half, y), (top[0] + half, y)]], 0.011)
            if not bare:
                low, wide = y + drop * 0.8, half * 1.12
                sides = [
                    _bezier((top[0] + s * half, y), (top[0] + s * half * 0.8, (y + low) / 2), (top[0] + s * wide, low))
                    for s in (-1, 1)
                ]
                belly = _bezier(sides[0][-1], (top[0], low - 0.25 * drop), sides[1][-1])
                _fill(canvas, [np.concatenate([sides[0], belly, sides[1][::-1]])])
        spreads = foot + np.stack([np.linspace(-0.1, 0.1, 6), np.full(6, -0.01)], -1)
        _strokes(canvas, np.stack([np.broadcast_to(top + [0, 0.12], (6, 2)), spreads], 1), HAIRLINE)
    stays = np.stack([np.concatenate([[[0.13, 0.75]], tops]), np.concatenate([tops, [bow]])], 1)
    _strokes(canvas, stays, HAIRLINE)
    _strokes(
        canvas, [[tops[-1] + [0, 0.25], bow - [0.05, -0.04]], [tops[-1] + [0, 0.42], bow - [0.1, -0.06]]], HAIRLINE
    )
    _fill(canvas, [tops[-1] + np.array([[0, -0.02], [-0.08, 0.0], [-0.05, 0.015], [-0.08, 0.035], [0, 0.025]])])
    return canvas


def gears(rng: np.random.Generator, size: int) -> Canvas:
    """Draw two or three toothed wheels that mesh, with round or spoked holes."""
    canvas = _blank(size)
    radii = rng.uniform(0.13, 0.26, int(rng.integers(2, 4)))
    radii *= 0.44 / radii.sum()
    center, heading = np.array([0.04, rng.uniform(0.4, 0.6)]), rng.uniform(-0.5, 0.5)
    for index, radius in enumerate(radii):
        step = np.array([math.cos(heading), math.sin(heading)])
        center = center + step * (radius if index == 0 else radius + radii[index - 1])
        heading = -heading * rng.uniform(0.4, 1.0)
        teeth = max(round(radius / 0.0085), 8)
        angles = np.arange(4 * teeth) * math.pi / (2 * teeth) + rng.uniform(0, 1)
        reach = radius * 1.0 + 0.014 * np.resize([1, 1, -1, -1], 4 * teeth)
        _fill(canvas, [_ring(center, reach, angles)])
        holes = int(rng.integers(4, 8))
        turns = np.arange(holes) * 2 * math.pi / holes + rng.uniform(0, 1)
        if rng.random() < 0.5:
            _fill(
                canvas,
                [_circle(place, radius * 1.25 / holes) for place in _ring(center, radius * 0.56, turns)],
                value=0,
            )
        else:
            _fill(canvas, [_circle(center, radius * 0.78)], value=0)
            _strokes(
                canvas,
                np.stack([np.broadcast_to(center, (holes, 2)), _ring(center, radius * 0.85, turns)], 1),
                radius * 0.1,
            )
            _fill(canvas, [_circle(center, radius * 0.26)])
        _fill(canvas, [_circle(center, radius * 0.12)], value=0)
    return canvas


def tower(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a lattice tower with arms and insulators, held by guy wires."""
    canvas = _blank(size)
    levels, base = int(rng.integers(7, 11)), rng.uniform(0.2, 0.26)
    heights = 0.98 - 0.94 * np.linspace(0, 1, levels) ** 0.85
    halves = 0.022 + (base - 0.022) * np.linspace(1, 0, levels) ** 1.6
    left, right = np.stack([0.5 - halves, heights], -1), np.stack([0.5 + halves, heights], -1)
    _strokes(canvas, [left, right], 0.02)
    _strokes(canvas, np.concatenate([np.stack([left[:-1], right[1:]], 1), np.stack([right[:-1], left[1:]], 1)]), 0.01)
    _strokes(canvas, np.stack([left, right], 1)[1:], 0.009)
    reaches = rng.uniform(0.2, 0.32, 3)
    anchors = np.array([[0.04, 0.98], [0.96, 0.98]])
    _strokes(canvas, [[left[k], anchors[0]] for k in (-1, -3)] + [[right[k], anchors[1]] for k in (-1, -3)], HAIRLINE)
    _strokes(canvas, np.stack([anchors - [0.02, 0], anchors + [0.02, 0]], 1), 0.025)
    for y, reach in zip((0.13, 0.24, 0.36), reaches, strict=True):
        for side in (-1, 1):
            tip = np.array([0.5 + side * reach, y])
            _strokes(canvas, [np.stack([(0.5, start), tip]) for start in (y - 0.045, y + 0.005)], 0.011)
            along = np.linspace(0.25, 0.75, 3)
            _strokes(
                canvas,
                [[(0.5 + side * reach * t, y - 0.04 * (1 - t)), (0.5 + side * reach * (t + 0.12), y)] for t in along],
                HAIRLINE,
            )
            _strokes(canvas, [[tip, tip + [0, 0.04]]], 0.016)
    return canvas


def chair(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a chair seen from the front, with a slatted back and rungs."""
    canvas = _blank(size)
    half, top, seat = rng.uniform(0.19, 0.25), rng.uniform(0.05, 0.12), rng.uniform(0.5, 0.58)
    leg, skew, depth = rng.uniform(0.026, 0.036), rng.uniform(-0.08, 0.08), rng.uniform(0.06, 0.1)
    back = np.array([[0.5 - half, seat], [0.5 + half, seat]])
    fore = back + np.array([[skew - 0.05, depth], [skew + 0.05, depth]])
    _fill(canvas, [np.concatenate([back, fore[::-1]])])
    _strokes(canvas, [fore], leg * 1.3)
    rise = np.array([[-0.03, top - seat], [0.03, top - seat]])
    _strokes(canvas, np.stack([back + rise, back, back + [[0, 0.36]]], 1), leg)
    _strokes(canvas, np.stack([fore, fore + [0, 0.97 - seat - depth]], 1), leg * 1.1)
    bow = np.array([0, -rng.uniform(0, 0.07)])
    upper, lower = back + rise * 0.93, back + rise * 0.2
    _strokes(canvas, [_bezier(upper[0], upper.mean(0) + 2 * bow, upper[1])], leg * 1.7)
    _strokes(canvas, [lower], leg)
    share = np.linspace(0, 1, int(rng.integers(6, 11)))[1:-1, None]
    arch = bow * 4 * share * (1 - share)
    _strokes(
        canvas,
        np.stack([upper[0] + share * (upper[1] - upper[0]) + arch, lower[0] + share * (lower[1] - lower[0])], 1),
        0.011,
    )
    for drop in (0.14, 0.24):
        _strokes(
            canvas,
            [
                fore + [0, drop],
                [fore[0] + [0, drop + 0.03], back[0] + [0, drop]],
                [fore[1] + [0, drop + 0.03], back[1] + [0, drop]],
            ],
            0.013,
        )
    return canvas


def birdcage(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a domed cage of thin bars with a perch and a bird."""
    canvas = _blank(size)
    half, spring, low = rng.uniform(0.24, 0.32), rng.uniform(0.36, 0.46), 0.86
    across = half * np.sin(np.linspace(-0.5, 0.5, int(rng.integers(11, 17))) * math.pi)
    crown = np.broadcast_to([0.5, 0.13], (len(across), 2))
    knee = np.stack([0.5 + across, np.full(len(across), spring)], -1)
    _strokes(canvas, _bezier(crown, knee * [1, 0] + [0, 0.15], knee), HAIRLINE * 1.2)
    _strokes(canvas, np.stack([knee, knee * [1, 0] + [0, low]], 1), HAIRLINE * 1.2)
    for y, width in ((spring, 0.014), ((spring + low) / 2, 0.009)):
        _strokes(canvas, [_bezier((0.5 - half, y), (0.5, y + 0.05), (0.5 + half, y))], width)
    _fill(canvas, [[[0.47 - half, low - 0.03], [0.53 + half, low - 0.03], [0.5 + half, 0.95], [0.5 - half, 0.95]]])
    _strokes(canvas, [_circle((0.5, 0.08), 0.035)], 0.012)
    _fill(canvas, [_circle((0.5, 0.135), 0.03)])
    perch = low - rng.uniform(0.12, 0.2)
    _strokes(canvas, [[(0.5 - half, perch), (0.5 + half, perch)]], 0.012)
    bird = np.array([0.5 + rng.uniform(-0.1, 0.1), perch - 0.06])
    _fill(canvas, [_circle(bird, 0.055, stretch=1.2), _circle(bird + [0.03, -0.075], 0.036)])
    _fill(
        canvas,
        [
            bird + np.array([[-0.03, 0.0], [-0.1, 0.12], [0.0, 0.06]]),
            bird + np.array([[0.05, -0.09], [0.1, -0.07], [0.05, -0.06]]),
        ],
    )
    return canvas


SHAPES: tuple[Shape, ...] = (bicycle, ferris, fence, tree, plant, hair, ship, gears, tower, chair, birdcage)


def plaster(rng: np.random.Generator, size: int) -> Texture:
    """Draw a stained wall, lit from the side."""
    relief = fractal(rng, size, cells=(4, 4), roughness=0.75)
    picture = _tinted(relief, *_pair(rng, spread=0.22))
    return picture * (1 + 0.5 * (relief - np.roll(relief, max(size // 128, 1), axis=(0, 1))))[..., None]


def planks(rng: np.random.Generator, size: int) -> Texture:
    """Draw boards with their grain, lying or standing."""
    shades, joints = _courses(rng, size, height=rng.uniform(0.07, 0.16), width=rng.uniform(0.8, 1.6), gap=0.05)
    grain = fractal(rng, size, cells=(24, 2), roughness=0.8)
    picture = _tinted(grain * 0.8 + shades * 0.7, *_pair(rng, spread=0.25, colors=WOODS)) * (
        1 - 0.7 * joints[..., None]
    )
    return picture if rng.random() < 0.6 else np.ascontiguousarray(picture.swapaxes(0, 1))


def bricks(rng: np.random.Generator, size: int) -> Texture:
    """Draw bricks or tiles in their mortar."""
    height, square = rng.uniform(0.05, 0.11), rng.random() < 0.3
    shades, joints = _courses(rng, size, height=height, width=height * (1 if square else rng.uniform(2, 2.6)), gap=0.12)
    picture = _tinted(0.8 * shades + 0.5 * fractal(rng, size, cells=(16, 16)), *_pair(rng, spread=0.2, colors=CLAYS))
    return picture + (joints * rng.uniform(0.6, 0.9))[..., None] * (_pick(rng, PAINTS[:4]) - picture)


def leaves(rng: np.random.Generator, size: int) -> Texture:
    """Draw a hedge: leaves over leaves, the upper ones brighter."""
    count, color = 260, _pick(rng, GREENS)
    picture = np.full((size, size, 3), color * 60, np.uint8)
    angles, length = rng.uniform(0, 2 * math.pi, (count, 1)), rng.uniform(0.03, 0.07, (count, 1, 1))
    along, across = np.stack([np.cos(angles), np.sin(angles)], -1), np.stack([-np.sin(angles), np.cos(angles)], -1)
    outline = np.array([[-1, 0], [-0.4, 0.36], [0.3, 0.3], [1, 0], [0.3, -0.3], [-0.4, -0.36]])
    blades = rng.uniform(0, 1, (count, 1, 2)) + length * (outline[:, :1] * along + outline[:, 1:] * across)
    shades = np.linspace(70, 255, count)[:, None] * color * rng.uniform(0.75, 1.2, (count, 3))
    points = np.rint(blades * size * 16).astype(np.int32)
    for blade, shade in zip(points, shades.clip(0, 255).tolist(), strict=True):
        cv2.fillConvexPoly(picture, blade, shade, cv2.LINE_AA, shift=4)
    return (picture / 255).astype(np.float32)


def stripes(rng: np.random.Generator, size: int) -> Texture:
    """Draw striped cloth or wallpaper, slightly uneven."""
    place = np.linspace(0, 1, size, dtype=np.float32)
    angle, bands = rng.choice([0.0, 0.5, 0.25, -0.25]) * math.pi, rng.uniform(5, 16)
    uneven = fractal(rng, size, cells=(3, 3), roughness=0.7)
    across = math.cos(angle) * place + math.sin(angle) * place[:, None] + 0.004 * uneven
    bands_of = np.clip(2.5 * np.sin(2 * math.pi * bands * across) + 0.15 * uneven, -2, 2)
    return _tinted(bands_of.astype(np.float32), *_pair(rng, spread=rng.uniform(0.06, 0.2)))


def land(rng: np.random.Generator, size: int) -> Texture:
    """Draw clouds over hills and a meadow, or over sand."""
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    cloud = np.clip(fractal(rng, size, cells=(5, 3)) * 0.8 + rng.uniform(-0.6, 0.5), 0, 1)
    zenith, haze = _pick(rng, SKIES), _pick(rng, PAINTS[:3])
    picture = _tinted(4 * np.sqrt(y) - 2 + 2 * cloud, zenith, haze)
    soil, detail = _pick(rng, GREENS + WOODS), fractal(rng, size, cells=(48, 12), roughness=0.85)
    horizon = rng.uniform(0.5, 0.75)
    for depth in (0.35, 0.65, 1.0):
        rough = rng.normal(0, 0.05 * (1.3 - depth), (1, 6)).astype(np.float32)
        ridge = horizon + (depth - 0.5) * 0.2 + cv2.resize(rough, (size, 1), interpolation=cv2.INTER_CUBIC)
        shade = haze + depth * (soil - haze) * rng.uniform(0.8, 1)
        near = (shade * (0.8 + 0.3 * depth * (y - horizon + 0.2) + 0.14 * depth * detail)[..., None]).astype(np.float32)
        picture += np.clip((y - ridge) * size / 2, 0, 1)[..., None] * (near - picture)
    return picture


def sea(rng: np.random.Generator, size: int) -> Texture:
    """Draw water with glitter under a sky."""
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    zenith, haze, horizon = _pick(rng, SKIES), _pick(rng, SKIES + PAINTS[:3]), rng.uniform(0.4, 0.7)
    sky = _tinted(4 * y / horizon - 2 + 0.5 * fractal(rng, size, cells=(6, 2)), zenith, haze)
    waves = fractal(rng, size, cells=(40, 5), roughness=0.9)
    water = _tinted(waves - 1.5 * (y - horizon), zenith * 0.45, haze * 0.95)
    return sky + np.clip((y - horizon) * size / 2, 0, 1)[..., None] * (water - sky)


def room(rng: np.random.Generator, size: int) -> Texture:
    """Draw a wall with a baseboard over a floor of boards or tiles, seen in perspective."""
    wall = (plaster, stripes)[int(rng.integers(2))](rng, size)
    floor = (planks, bricks)[int(rng.integers(2))](rng, size)
    horizon = rng.uniform(0.6, 0.8)
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    seen = np.array([[0, horizon], [1, horizon], [1.9, 1], [-0.9, 1]], np.float32) * size
    floor = cv2.warpPerspective(
        floor, cv2.getPerspectiveTransform(corners, seen), (size, size), borderMode=cv2.BORDER_REFLECT
    )
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    skirting = np.clip((y - horizon + 0.035) * size, 0, 1)
    wall = wall * (1 - 0.25 * y) + skirting * (_pick(rng, PAINTS[:4]) - wall)
    floor = floor * np.clip(0.45 + 8 * (y - horizon), 0.45, 1)
    return np.asarray(wall + np.clip((y - horizon) * size, 0, 1) * (floor - wall), dtype=np.float32)


def bokeh(rng: np.random.Generator, size: int) -> Texture:
    """Draw lights far out of focus."""
    dark, light = _pair(rng, spread=0.12)
    picture = _tinted(fractal(rng, size, cells=(2, 3)), dark * 0.5, light * 0.8)
    radius, warm = rng.uniform(0.03, 0.09), _pick(rng, PAINTS)
    for place in rng.uniform(0, 1, (int(rng.integers(8, 22)), 2)):
        disc = _blank(size)
        _fill(disc, [_circle(place, radius * rng.uniform(0.6, 1.2))])
        glow = _pick(rng, PAINTS) * 0.4 + warm * 0.6
        picture += (disc > 0)[..., None] * (glow - picture) * np.float32(rng.uniform(0.2, 0.6))
    return _blurred(picture, 0.008)


WALLS: tuple[Ground, ...] = (plaster, planks, bricks, leaves, stripes)
VISTAS: tuple[Ground, ...] = (land, sea, room, bokeh)


def ground(rng: np.random.Generator, size: int, *, kinds: Sequence[Ground] = WALLS + VISTAS) -> Texture:
    """Draw a background of one of `kinds`, sometimes with twigs or cables, in or out of focus."""
    picture = kinds[int(rng.integers(len(kinds)))](rng, size)
    if rng.random() < 0.35:
        lines, count = _blank(size), int(rng.integers(3, 12))
        starts, heading = rng.uniform(-0.2, 1, (count, 2)), rng.uniform(0, 2 * math.pi)
        ends = _ring(starts, rng.uniform(0.4, 1.5, count), heading + rng.normal(0, 0.25, count))
        bends = (starts + ends) / 2 + rng.normal(0, 0.1, (count, 2))
        _strokes(lines, _bezier(starts, bends, ends), rng.uniform(0.006, 0.02))
        weight = (lines * np.float32(rng.uniform(0.2, 0.6) / 255))[..., None]
        picture += weight * (_pick(rng, WOODS + GREENS + CLAYS) * 0.7 - picture)
    return np.clip(_blurred(picture, rng.uniform(0, 0.01)), 0, 1)


def surface(rng: np.random.Generator, size: int, *, away_from: NDArray[np.floating[Any]]) -> Texture:
    """Draw a painted, worn or grained material that differs from the colors `away_from`: (3,) or (N, 3)."""
    candidates = np.stack([_pick(rng, PAINTS + WOODS + METALS) for _ in range(14)])
    gaps = np.abs(candidates[:, None] - away_from.reshape(-1, 3)).mean(axis=-1)
    clearest = np.quantile(gaps, 0.2, axis=1)
    base = candidates[np.argmax(clearest >= min(rng.uniform(0.14, 0.4), clearest.max()))]
    cells = ((4, 4), (3, 24), (24, 3))[int(rng.integers(3))]
    grain = fractal(rng, size, cells=cells, roughness=0.75)
    picture = base * (1 + rng.uniform(0.06, 0.16) * grain)[..., None]
    return np.clip(picture, 0, 1).astype(np.float32)


def fractal(rng: np.random.Generator, size: int, *, cells: tuple[int, int], roughness: float = 0.6) -> Field:
    """Draw noise of many octaves with mean 0 and std about 1, starting with `cells` (rows, columns)."""
    rows, columns = cells
    field, gain, power = rng.standard_normal(cells, dtype=np.float32), 1.0, 1.0
    while 2 * max(rows, columns) <= size:
        rows, columns, gain = 2 * rows, 2 * columns, gain * roughness
        field = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_CUBIC)
        field += gain * rng.standard_normal((rows, columns), dtype=np.float32)
        power += gain * gain
    return cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC) / np.float32(math.sqrt(power))


PAINTS = (
    (0.9, 0.89, 0.86),
    (0.84, 0.77, 0.62),
    (0.62, 0.66, 0.7),
    (0.3, 0.32, 0.35),
    (0.68, 0.14, 0.11),
    (0.1, 0.19, 0.4),
    (0.12, 0.33, 0.22),
    (0.8, 0.57, 0.15),
    (0.12, 0.44, 0.47),
    (0.84, 0.4, 0.14),
    (0.55, 0.3, 0.36),
    (0.35, 0.5, 0.62),
)
WOODS = ((0.46, 0.31, 0.18), (0.27, 0.17, 0.1), (0.66, 0.5, 0.33), (0.5, 0.45, 0.4))
CLAYS = ((0.58, 0.28, 0.2), (0.7, 0.6, 0.48), (0.45, 0.43, 0.42), (0.8, 0.79, 0.76), (0.3, 0.42, 0.46))
GREENS = ((0.3, 0.44, 0.16), (0.2, 0.36, 0.18), (0.46, 0.5, 0.2), (0.55, 0.36, 0.14))
SKIES = ((0.3, 0.52, 0.78), (0.5, 0.68, 0.86), (0.62, 0.66, 0.7), (0.86, 0.62, 0.46), (0.28, 0.34, 0.5))
METALS = ((0.09, 0.09, 0.1), (0.2, 0.21, 0.23), (0.5, 0.52, 0.55), (0.72, 0.56, 0.3), (0.45, 0.22, 0.12))


def _pick(rng: np.random.Generator, colors: Sequence[tuple[float, float, float]]) -> NDArray[np.float32]:
    """Pick one of the colors and vary it slightly: (3,)."""
    color = np.asarray(colors[int(rng.integers(len(colors)))]) * rng.uniform(0.85, 1.12)
    return np.clip(color + rng.normal(0, 0.02, 3), 0.02, 0.98).astype(np.float32)


def _pair(
    rng: np.random.Generator, *, spread: float, colors: Sequence[tuple[float, float, float]] = PAINTS
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a darker and a lighter shade of one of the colors."""
    color, share = _pick(rng, colors), np.float32(spread)
    return color * (1 - share), color + (1 - color) * share * 0.6


def _tinted(field: Field, low: NDArray[np.float32], high: NDArray[np.float32]) -> Texture:
    """Map values to colors, from `low` at -2 to `high` at 2."""
    return low + np.clip(field * 0.25 + 0.5, 0, 1)[..., None] * (high - low)


def _courses(rng: np.random.Generator, size: int, *, height: float, width: float, gap: float) -> tuple[Field, Field]:
    """Draw courses of bricks or boards: a random shade for each, and the joints between them in [0, 1]."""
    place = np.arange(size, dtype=np.float32) / size
    row, down = np.divmod(place / height + rng.uniform(0, 1), 1)
    offset = rng.uniform(0, 1, int(1 / height) + 3) if width > 0.5 else np.arange(int(1 / height) + 3) % 2 / 2
    column, along = np.divmod(place / width + offset.astype(np.float32)[row.astype(int), None], 1)
    shades = rng.standard_normal((len(offset), int(1 / width) + 3), dtype=np.float32)
    edge = np.maximum(np.abs(down - 0.5)[:, None] * height, np.abs(along - 0.5) * width - (width - height) / 2)
    joints = np.clip((edge - height * (1 - gap) / 2) * size + 0.5, 0, 1)
    return shades[row.astype(int)[:, None], column.astype(int)], joints.astype(np.float32)


def _blurred(picture: Texture, sigma: float) -> Texture:
    """Blur by `sigma`, a fraction of the image's side."""
    sigma *= picture.shape[0]
    return picture if sigma < 0.3 else np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)


def _blank(size: int) -> Canvas:
    return np.zeros((size, size), np.uint8)


def _ring(center: ArrayLike, radius: ArrayLike, angles: NDArray[Any]) -> Path:
    return np.asarray(center) + np.asarray(radius)[..., None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _circle(center: ArrayLike, radius: float, *, stretch: float = 1.0) -> Path:
    return np.asarray(center) + _ring((0, 0), radius, np.linspace(0, 2 * math.pi, 49)) * [1, stretch]


def _bezier(start: ArrayLike, bend: ArrayLike, end: ArrayLike, *, steps: int = 14) -> Path:
    """Return curves from `start` to `end` (..., 2), pulled toward `bend`: (..., steps, 2)."""
    first, middle, last = (np.asarray(place, dtype=np.float64)[..., None, :] for place in (start, bend, end))
    t = np.linspace(0, 1, steps)[:, None]
    return (1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last


def _pixels(canvas: Canvas, paths: ArrayLike) -> list[NDArray[np.int32]]:
    return list(np.rint(np.asarray(paths) * canvas.shape[0] * 16).astype(np.int32))


def _strokes(canvas: Canvas, paths: ArrayLike | Sequence[Path], width: float) -> None:
    cv2.polylines(canvas, _pixels(canvas, paths), False, 255, max(round(width * canvas.shape[0]), 2), shift=4)


def _fill(canvas: Canvas, paths: ArrayLike | Sequence[Path], *, value: int = 255) -> None:
    for path in _pixels(canvas, paths):
        cv2.fillPoly(canvas, [path], value, shift=4)
