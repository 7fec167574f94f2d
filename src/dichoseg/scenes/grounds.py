"""Backgrounds and surfaces of synthetic scenes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import bezier, blank, circle, fill, ring, strokes

Field: TypeAlias = NDArray[np.float32]
"""(S, S)."""
Texture: TypeAlias = NDArray[np.float32]
"""(S, S, 3), RGB in [0, 1]."""
Ground: TypeAlias = Callable[[np.random.Generator, int], Texture]

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
        disc = blank(size)
        fill(disc, [circle(place, radius * rng.uniform(0.6, 1.2))])
        glow = _pick(rng, PAINTS) * 0.4 + warm * 0.6
        picture += (disc > 0)[..., None] * (glow - picture) * np.float32(rng.uniform(0.2, 0.6))
    return _blurred(picture, 0.008)


WALLS: tuple[Ground, ...] = (plaster, planks, bricks, leaves, stripes)
VISTAS: tuple[Ground, ...] = (land, sea, room, bokeh)


def ground(rng: np.random.Generator, size: int, *, kinds: Sequence[Ground] = WALLS + VISTAS) -> Texture:
    """Draw a background of one of `kinds`, sometimes with twigs or cables, in or out of focus."""
    picture = kinds[int(rng.integers(len(kinds)))](rng, size)
    if rng.random() < 0.35:
        lines, count = blank(size), int(rng.integers(3, 12))
        starts, heading = rng.uniform(-0.2, 1, (count, 2)), rng.uniform(0, 2 * math.pi)
        ends = ring(starts, rng.uniform(0.4, 1.5, count), heading + rng.normal(0, 0.25, count))
        bends = (starts + ends) / 2 + rng.normal(0, 0.1, (count, 2))
        strokes(lines, bezier(starts, bends, ends), rng.uniform(0.006, 0.02))
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
