"""Foreground shapes of synthetic scenes, with thin parts and holes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from .canvas import HAIRLINE, Canvas, bezier, blank, circle, fill, ring, strokes

Shape: TypeAlias = Callable[[np.random.Generator, int], Canvas]


def bicycle(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a bicycle: two spoked wheels, a frame, a saddle, handlebars and a chain."""
    canvas = blank(size)
    radius = rng.uniform(0.19, 0.22)
    rear, front = np.array([0.24, 0.62]), np.array([0.76, 0.62])
    count = 2 * int(rng.integers(8, 14))
    for hub in (rear, front):
        strokes(canvas, [circle(hub, radius)], 0.024)
        strokes(canvas, [circle(hub, radius * 0.86)], HAIRLINE)
        angles = np.arange(count) * 2 * math.pi / count + rng.uniform(0, 1)
        tangents = angles + np.resize([1.2, -1.2], count)
        strokes(canvas, np.stack([ring(hub, 0.022, tangents), ring(hub, radius, angles)], axis=1), HAIRLINE)
        fill(canvas, [circle(hub, 0.028)])
    crank, seat, head = np.array([0.48, 0.63]), np.array([0.41, 0.33]), np.array([0.67, 0.32])
    drop = head + [0.012, 0.05]
    strokes(canvas, [[crank, seat], [seat + [0.005, 0.03], head], [crank, drop]], 0.022)
    strokes(canvas, [[rear, seat + [0.01, 0.04]], [rear, crank], [head - [0.01, 0.05], drop]], 0.016)
    strokes(canvas, [bezier(drop, (0.7, 0.52), front)], 0.018)
    strokes(canvas, [[crank, seat - [0.018, 0.075]], [head, head - [0.012, 0.07]]], 0.014)
    saddle = seat - [0.02, 0.08]
    fill(canvas, [saddle + np.array([[-0.07, -0.022], [0.0, -0.015], [0.075, -0.012], [0.02, 0.012], [-0.06, 0.02]])])
    reach = rng.choice([-0.06, 0.07])
    strokes(canvas, [bezier(head - [0.012, 0.07], head + [reach * 1.6, -0.11], head + [reach, -0.035])], 0.016)
    strokes(canvas, [circle(crank, 0.052)], 0.014)
    strokes(canvas, [[crank - [0, 0.05], rear - [0, 0.025]], [crank + [0, 0.05], rear + [0, 0.025]]], 0.008)
    pedal = ring(crank, 0.095, np.array([0.0, math.pi]) + rng.uniform(0, math.pi))
    strokes(canvas, [pedal], 0.013)
    strokes(canvas, np.stack([pedal - [0.025, 0], pedal + [0.025, 0]], axis=1), 0.018)
    return canvas


def ferris(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a Ferris wheel: two rims with a lattice between them, cables, cabins and a stand."""
    canvas = blank(size)
    center, radius, count = np.array([0.5, 0.43]), rng.uniform(0.34, 0.38), int(rng.integers(12, 19))
    angles = np.arange(2 * count + 1) * math.pi / count + rng.uniform(0, 1)
    inner = radius * rng.uniform(0.8, 0.86)
    strokes(canvas, [circle(center, radius), circle(center, inner)], 0.014)
    strokes(canvas, [ring(center, np.resize([radius, inner], 2 * count + 1), angles)], 0.008)
    hub = ring(center, 0.03, angles[::2] + np.resize([0.9, -0.9], count + 1))
    strokes(canvas, np.stack([hub, ring(center, inner, angles[::2])], axis=1), HAIRLINE)
    cabin = np.array([[-0.028, 0.012], [0.028, 0.012], [0.034, 0.055], [-0.034, 0.055]])
    for place in ring(center, radius, angles[:-1:2]):
        strokes(canvas, [[place, place + [-0.028, 0.02]], [place, place + [0.028, 0.02]]], 0.007)
        fill(canvas, [place + cabin])
    spread = rng.uniform(0.16, 0.24)
    feet = np.array([[0.5 - spread, 0.97], [0.5 + spread, 0.97]])
    strokes(canvas, [[feet[0], center], [feet[1], center]], 0.028)
    strokes(canvas, [0.35 * center + 0.65 * feet], 0.014)
    strokes(canvas, [feet + np.array([[-0.07, 0], [0.07, 0]])], 0.032)
    fill(canvas, [circle(center, 0.045)])
    return canvas


def fence(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a fence between posts: wire mesh, or wrought iron with spears and rings."""
    canvas = blank(size)
    left, right, top, low = 0.08, 0.92, rng.uniform(0.16, 0.28), rng.uniform(0.78, 0.86)
    if rng.random() < 0.5:
        step = rng.uniform(0.05, 0.08)
        starts = np.arange(left - (low - top), right, step)
        falls = np.stack(
            [np.stack([starts, starts * 0 + top], -1), np.stack([starts + low - top, starts * 0 + low], -1)], 1
        )
        strokes(canvas, np.concatenate([falls, falls * [-1, 1] + [left + right, 0]]), HAIRLINE * rng.uniform(1, 1.5))
        canvas[:, : round(left * size)] = 0
        canvas[:, round(right * size) :] = 0
        strokes(canvas, [[[left, top], [right, top]], [[left, low], [right, low]]], 0.022)
    else:
        places = np.linspace(left, right, int(rng.integers(9, 15)))[1:-1]
        heights = top - 0.04 - rng.choice([-0.1, 0.1]) * np.cos((places - 0.5) * math.pi)
        bars = np.stack([np.stack([places, heights], -1), np.stack([places, places * 0 + 0.92], -1)], 1)
        strokes(canvas, bars, 0.011)
        spear = np.array([[0, -0.06], [0.017, -0.02], [0.006, 0.01], [-0.006, 0.01], [-0.017, -0.02]])
        fill(canvas, bars[:, :1] + spear)
        gap = places[1] - places[0]
        rails = np.array([[[left, y], [right, y]] for y in (top + 0.12, top + 0.12 + gap, low)])
        strokes(canvas, rails, 0.014)
        strokes(canvas, [circle((x + gap / 2, top + 0.12 + gap / 2), gap * 0.42) for x in places[:-1]], 0.008)
    for x in (left, right):
        strokes(canvas, [[[x, top - 0.05], [x, 0.96]]], 0.045)
        fill(canvas, [circle((x, top - 0.08), 0.038)])
    return canvas


def tree(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a branching tree, bare or with leaves."""
    canvas = blank(size)
    leaves = rng.random() < 0.5
    start, angles = np.array([[0.5, 0.97]]), np.array([rng.normal(math.pi / 2, 0.08)])
    length, width = rng.uniform(0.18, 0.22), rng.uniform(0.045, 0.06)
    fill(canvas, [start[0] + width * np.array([[-1.3, 0.1], [-0.45, -1.5], [0.45, -1.5], [1.3, 0.1]])])
    for level in range(7):
        lengths = length * rng.uniform(0.7, 1.15, len(angles))
        end = np.clip(ring(start, lengths, -angles), 0.03, 0.97)
        bend = ring(start, lengths / 2, -angles + rng.normal(0, 0.25, len(angles)))
        branches = bezier(start, bend, end, steps=5)
        strokes(canvas, branches, width)
        if leaves and level > 3:
            places = branches[:, 2::2].reshape(-1, 2) + rng.normal(0, 0.012, (2 * len(branches), 2))
            strokes(
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
    canvas = blank(size)
    count, rim, half = int(rng.integers(45, 90)), rng.uniform(0.66, 0.74), rng.uniform(0.14, 0.2)
    roots = np.stack([0.5 + rng.uniform(-0.85, 0.85, count) * half, np.full(count, rim + 0.01)], -1)
    lean = rng.normal(0, 0.14, count) + (roots[:, 0] - 0.5)
    rise = rng.uniform(0.25, 0.62, count) * (1 - 0.8 * np.abs(lean))
    tips = np.clip(roots + np.stack([lean * 1.4, -rise], -1), 0.03, 0.97)
    blades = bezier(roots, roots + np.stack([lean * 0.3, -rise * rng.uniform(0.8, 1.25, count)], -1), tips)
    strokes(canvas, blades, HAIRLINE)
    strokes(canvas, blades[:, :8], 0.01)
    strokes(canvas, blades[::2, :6], 0.015)
    if rng.random() < 0.5:
        fill(canvas, [circle(tip, 0.012) for tip in tips[::5]])
    foot = half * rng.uniform(0.55, 0.85)
    fill(canvas, [[[0.5 - half, rim], [0.5 + half, rim], [0.5 + foot, 0.97], [0.5 - foot, 0.97]]])
    fill(canvas, [[[0.48 - half, rim], [0.52 + half, rim], [0.515 + half, rim + 0.055], [0.485 - half, rim + 0.055]]])
    return canvas


def hair(rng: np.random.Generator, size: int) -> Canvas:
    """Draw head and shoulders, with hair in the wind."""
    canvas = blank(size)
    width, wind = rng.uniform(0.125, 0.145), rng.uniform(-0.22, 0.22)
    head = np.array([0.5, 0.4])
    fill(canvas, [circle(head, width, stretch=1.35)])
    fill(canvas, [head + np.array([[-0.065, 0.1], [0.065, 0.1], [0.08, 0.34], [-0.08, 0.34]])])
    shoulder = rng.uniform(0.24, 0.3)
    for side in (-1, 1):
        arm = bezier((0.5 + side * 0.04, 0.6), (0.5 + side * shoulder, 0.64), (0.5 + side * (shoulder + 0.05), 0.99))
        fill(canvas, [np.concatenate([arm, [[0.5 - side * 0.02, 0.99], [0.5 - side * 0.02, 0.6]]])])
    count = int(rng.integers(220, 320))
    angles = rng.uniform(-1.12, 0.12, count) * math.pi
    roots = ring(head - [0, 0.035], width * rng.uniform(0.75, 1.08, count), angles)
    length = rng.uniform(0.12, 0.42) * rng.uniform(0.35, 1.1, count)
    out = ring(roots, length * 0.55, angles)
    tips = out + np.stack([wind * rng.uniform(0.3, 1.2, count) * (1 + length), length], -1) * rng.uniform(
        0.3, 0.9, (count, 1)
    )
    tips = np.clip(tips, 0.02, 0.98)
    strokes(canvas, bezier(roots, out, tips), HAIRLINE * 0.9)
    strokes(canvas, bezier(roots, out, tips)[::2, :7], 0.011)
    return canvas


def ship(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a sailing ship with masts, yards, sails and rigging."""
    canvas = blank(size)
    deck = bezier((0.12, 0.74), (0.5, 0.84), (0.86, 0.72))
    hull = np.concatenate(
        [deck, bezier((0.86, 0.72), (0.84, 0.92), (0.68, 0.93)), bezier((0.3, 0.93), (0.15, 0.92), (0.12, 0.74))]
    )
    fill(canvas, [hull])
    bow = np.array([0.98, 0.63])
    strokes(canvas, [np.stack([(0.8, 0.76), bow])], 0.014)
    places = np.linspace(0.28, 0.7, int(rng.integers(2, 4)))
    tops = np.stack([places, 0.06 + rng.uniform(0, 0.1, len(places))], -1)
    furled = rng.random(len(places)) < 0.35
    for top, bare in zip(tops, furled, strict=True):
        foot = np.array([top[0], 0.78])
        strokes(canvas, [[top, foot]], 0.017)
        yards = top[1] + np.array([0.1, 0.27, 0.45]) * (foot[1] - top[1]) / 0.72 * 1.15
        halves = np.array([0.055, 0.08, 0.1]) * (0.42 / (len(places) - 1) / 0.21) ** 0.4
        for y, half, drop in zip(yards, halves, np.diff(np.append(yards, foot[1] - 0.08)), strict=True):
            strokes(canvas, [[(top[0] - half, y), (top[0] + half, y)]], 0.011)
            if not bare:
                low, wide = y + drop * 0.8, half * 1.12
                sides = [
                    bezier((top[0] + s * half, y), (top[0] + s * half * 0.8, (y + low) / 2), (top[0] + s * wide, low))
                    for s in (-1, 1)
                ]
                belly = bezier(sides[0][-1], (top[0], low - 0.25 * drop), sides[1][-1])
                fill(canvas, [np.concatenate([sides[0], belly, sides[1][::-1]])])
        spreads = foot + np.stack([np.linspace(-0.1, 0.1, 6), np.full(6, -0.01)], -1)
        strokes(canvas, np.stack([np.broadcast_to(top + [0, 0.12], (6, 2)), spreads], 1), HAIRLINE)
    stays = np.stack([np.concatenate([[[0.13, 0.75]], tops]), np.concatenate([tops, [bow]])], 1)
    strokes(canvas, stays, HAIRLINE)
    strokes(canvas, [[tops[-1] + [0, 0.25], bow - [0.05, -0.04]], [tops[-1] + [0, 0.42], bow - [0.1, -0.06]]], HAIRLINE)
    fill(canvas, [tops[-1] + np.array([[0, -0.02], [-0.08, 0.0], [-0.05, 0.015], [-0.08, 0.035], [0, 0.025]])])
    return canvas


def gears(rng: np.random.Generator, size: int) -> Canvas:
    """Draw two or three toothed wheels that mesh, with round or spoked holes."""
    canvas = blank(size)
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
        fill(canvas, [ring(center, reach, angles)])
        holes = int(rng.integers(4, 8))
        turns = np.arange(holes) * 2 * math.pi / holes + rng.uniform(0, 1)
        if rng.random() < 0.5:
            fill(
                canvas,
                [circle(place, radius * 1.25 / holes) for place in ring(center, radius * 0.56, turns)],
                value=0,
            )
        else:
            fill(canvas, [circle(center, radius * 0.78)], value=0)
            strokes(
                canvas,
                np.stack([np.broadcast_to(center, (holes, 2)), ring(center, radius * 0.85, turns)], 1),
                radius * 0.1,
            )
            fill(canvas, [circle(center, radius * 0.26)])
        fill(canvas, [circle(center, radius * 0.12)], value=0)
    return canvas


def tower(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a lattice tower with arms and insulators, held by guy wires."""
    canvas = blank(size)
    levels, base = int(rng.integers(7, 11)), rng.uniform(0.2, 0.26)
    heights = 0.98 - 0.94 * np.linspace(0, 1, levels) ** 0.85
    halves = 0.022 + (base - 0.022) * np.linspace(1, 0, levels) ** 1.6
    left, right = np.stack([0.5 - halves, heights], -1), np.stack([0.5 + halves, heights], -1)
    strokes(canvas, [left, right], 0.02)
    strokes(canvas, np.concatenate([np.stack([left[:-1], right[1:]], 1), np.stack([right[:-1], left[1:]], 1)]), 0.01)
    strokes(canvas, np.stack([left, right], 1)[1:], 0.009)
    reaches = rng.uniform(0.2, 0.32, 3)
    anchors = np.array([[0.04, 0.98], [0.96, 0.98]])
    strokes(canvas, [[left[k], anchors[0]] for k in (-1, -3)] + [[right[k], anchors[1]] for k in (-1, -3)], HAIRLINE)
    strokes(canvas, np.stack([anchors - [0.02, 0], anchors + [0.02, 0]], 1), 0.025)
    for y, reach in zip((0.13, 0.24, 0.36), reaches, strict=True):
        for side in (-1, 1):
            tip = np.array([0.5 + side * reach, y])
            strokes(canvas, [np.stack([(0.5, start), tip]) for start in (y - 0.045, y + 0.005)], 0.011)
            along = np.linspace(0.25, 0.75, 3)
            strokes(
                canvas,
                [[(0.5 + side * reach * t, y - 0.04 * (1 - t)), (0.5 + side * reach * (t + 0.12), y)] for t in along],
                HAIRLINE,
            )
            strokes(canvas, [[tip, tip + [0, 0.04]]], 0.016)
    return canvas


def chair(rng: np.random.Generator, size: int) -> Canvas:
    """Draw a chair seen from the front, with a slatted back and rungs."""
    canvas = blank(size)
    half, top, seat = rng.uniform(0.19, 0.25), rng.uniform(0.05, 0.12), rng.uniform(0.5, 0.58)
    leg, skew, depth = rng.uniform(0.026, 0.036), rng.uniform(-0.08, 0.08), rng.uniform(0.06, 0.1)
    back = np.array([[0.5 - half, seat], [0.5 + half, seat]])
    fore = back + np.array([[skew - 0.05, depth], [skew + 0.05, depth]])
    fill(canvas, [np.concatenate([back, fore[::-1]])])
    strokes(canvas, [fore], leg * 1.3)
    rise = np.array([[-0.03, top - seat], [0.03, top - seat]])
    strokes(canvas, np.stack([back + rise, back, back + [[0, 0.36]]], 1), leg)
    strokes(canvas, np.stack([fore, fore + [0, 0.97 - seat - depth]], 1), leg * 1.1)
    bow = np.array([0, -rng.uniform(0, 0.07)])
    upper, lower = back + rise * 0.93, back + rise * 0.2
    strokes(canvas, [bezier(upper[0], upper.mean(0) + 2 * bow, upper[1])], leg * 1.7)
    strokes(canvas, [lower], leg)
    share = np.linspace(0, 1, int(rng.integers(6, 11)))[1:-1, None]
    arch = bow * 4 * share * (1 - share)
    strokes(
        canvas,
        np.stack([upper[0] + share * (upper[1] - upper[0]) + arch, lower[0] + share * (lower[1] - lower[0])], 1),
        0.011,
    )
    for drop in (0.14, 0.24):
        strokes(
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
    canvas = blank(size)
    half, spring, low = rng.uniform(0.24, 0.32), rng.uniform(0.36, 0.46), 0.86
    across = half * np.sin(np.linspace(-0.5, 0.5, int(rng.integers(11, 17))) * math.pi)
    crown = np.broadcast_to([0.5, 0.13], (len(across), 2))
    knee = np.stack([0.5 + across, np.full(len(across), spring)], -1)
    strokes(canvas, bezier(crown, knee * [1, 0] + [0, 0.15], knee), HAIRLINE * 1.2)
    strokes(canvas, np.stack([knee, knee * [1, 0] + [0, low]], 1), HAIRLINE * 1.2)
    for y, width in ((spring, 0.014), ((spring + low) / 2, 0.009)):
        strokes(canvas, [bezier((0.5 - half, y), (0.5, y + 0.05), (0.5 + half, y))], width)
    fill(canvas, [[[0.47 - half, low - 0.03], [0.53 + half, low - 0.03], [0.5 + half, 0.95], [0.5 - half, 0.95]]])
    strokes(canvas, [circle((0.5, 0.08), 0.035)], 0.012)
    fill(canvas, [circle((0.5, 0.135), 0.03)])
    perch = low - rng.uniform(0.12, 0.2)
    strokes(canvas, [[(0.5 - half, perch), (0.5 + half, perch)]], 0.012)
    bird = np.array([0.5 + rng.uniform(-0.1, 0.1), perch - 0.06])
    fill(canvas, [circle(bird, 0.055, stretch=1.2), circle(bird + [0.03, -0.075], 0.036)])
    fill(
        canvas,
        [
            bird + np.array([[-0.03, 0.0], [-0.1, 0.12], [0.0, 0.06]]),
            bird + np.array([[0.05, -0.09], [0.1, -0.07], [0.05, -0.06]]),
        ],
    )
    return canvas


SHAPES: tuple[Shape, ...] = (bicycle, ferris, fence, tree, plant, hair, ship, gears, tower, chair, birdcage)
