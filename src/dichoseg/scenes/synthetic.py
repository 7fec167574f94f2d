"""Synthetic dichotomous scenes, drawn on the fly."""

from __future__ import annotations

import math
from typing import final

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ..checking import whole
from ..contracts import Sample
from .canvas import Canvas
from .grounds import VISTAS, WALLS, Field, Texture, fractal, ground, surface
from .shapes import SHAPES

SUPERSAMPLING = 3


@final
class SyntheticDataset(Dataset[Sample]):
    """Scenes with thin structures, meshes, holes and textured backgrounds; determined by seed and index.

    Each scene is one lit object (a bicycle, a fence, hair in the wind, a ship, ...) somewhere in the image, in front of
    a background with its own texture and lines. The object's shadow is not part of the mask. For demonstrations, tests
    and benchmarks; nothing is downloaded.

    Args:
        length: Number of scenes.
        size: Side of the square images, in pixels; 32 or more.
        seed: Random seed. Scenes of different seeds are unrelated.
    """

    def __init__(self, length: int, *, size: int = 256, seed: int = 0) -> None:
        self.length = whole("length", length, least=1)
        self.size = whole("size", size, least=32)
        self.seed = seed

    def __len__(self) -> int:
        """Number of scenes."""
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Draw one scene."""
        if not -self.length <= index < self.length:
            raise IndexError(f"index {index} is out of range for {self.length} scenes")
        index %= self.length
        rng = np.random.default_rng([self.seed, index])
        shape = SHAPES[int(rng.integers(len(SHAPES)))]
        alpha = _place(rng, shape(rng, self.size * SUPERSAMPLING), self.size)
        image = torch.from_numpy(_compose(rng, alpha)).permute(2, 0, 1).contiguous()
        return Sample(image, torch.from_numpy(alpha)[None], f"{shape.__name__}_{index:04d}")


def _place(rng: np.random.Generator, canvas: Canvas, size: int) -> Field:
    """Rotate, scale, mirror and move a drawing to cover a fair fraction of the image; return its alpha."""
    left, top, width, height = cv2.boundingRect(canvas)
    share = cv2.countNonZero(canvas) / canvas.size
    extent = max(width, height) / canvas.shape[0]
    scale = rng.uniform(0.7, 1.1) / extent
    scale = float(np.clip(scale, math.sqrt(0.07 / share), math.sqrt(0.5 / share)))
    turn = cv2.getRotationMatrix2D(
        (left + width / 2, top + height / 2), float(np.clip(rng.normal(0, 7), -20, 20)), scale
    )
    turn[0] *= rng.choice([-1, 1])
    room = np.abs(canvas.shape[0] - scale * np.array([width, height])) / 2 + 0.06 * canvas.shape[0]
    middle = turn @ [left + width / 2, top + height / 2, 1]
    turn[:, 2] += canvas.shape[0] / 2 - middle + rng.uniform(-1, 1, 2) * room
    drawn = cv2.warpAffine(canvas, turn, canvas.shape)
    return cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _compose(rng: np.random.Generator, alpha: Field) -> Texture:
    """Draw the object over a background, with the same light and camera: (S, S, 3)."""
    size = alpha.shape[0]
    wall = rng.random() < 0.5
    background = ground(rng, size, kinds=WALLS if wall else VISTAS)
    coarse = (16, 16)
    near = cv2.resize(alpha, coarse, interpolation=cv2.INTER_AREA) > 0.08
    seen = cv2.resize(background, coarse, interpolation=cv2.INTER_AREA)[near]
    foreground = surface(rng, size, away_from=seen)
    angle = rng.uniform(-0.9, -0.1) * math.pi
    light = np.array([math.cos(angle), math.sin(angle)])
    foreground *= _relief(rng, alpha, light)[..., None]
    background = background * _shadow(rng, alpha, light, wall=wall)[..., None]
    picture = background + alpha[..., None] * (foreground - background)
    return _photograph(rng, picture, light)


def _relief(rng: np.random.Generator, alpha: Field, light: np.ndarray) -> Field:
    """Shade a rounded body: brighter toward the light, darker away from it; thin parts have one shade."""
    size = alpha.shape[0]
    relief = np.ones_like(alpha)
    for share, strength in ((0.006, 0.5), (0.025, 0.5)):
        height = cv2.GaussianBlur(alpha, (0, 0), max(share * size, 0.5))
        slope = light[0] * cv2.Sobel(height, -1, 1, 0) + light[1] * cv2.Sobel(height, -1, 0, 1)
        relief -= strength * share * size * slope
    thin = 1 - np.clip(2 * cv2.GaussianBlur(alpha, (0, 0), 0.02 * size) - 0.6, 0, 1)
    relief *= 1 + rng.uniform(-0.35, 0.25) * thin
    return np.clip(relief, 0.35, 1.8).astype(np.float32)


def _shadow(rng: np.random.Generator, alpha: Field, light: np.ndarray, *, wall: bool) -> Field:
    """Return the brightness that the object's shadow leaves of the background: a wall behind it, or the floor."""
    size = alpha.shape[0]
    foot = float(np.flatnonzero(alpha.max(axis=1) > 0.5).max(initial=0))
    if rng.random() < 0.3:
        return np.ones_like(alpha)
    if wall:
        reach = rng.uniform(0.02, 0.07) * size
        fall = np.array([[1, 0, -light[0] * reach], [0, 1, -light[1] * reach]])
    else:
        squash, skew = rng.uniform(0.15, 0.35), -light[0] * rng.uniform(0.5, 1.2)
        fall = np.array([[1, -skew, skew * foot], [0, squash, foot * (1 - squash)]])
    cast = cv2.GaussianBlur(cv2.warpAffine(alpha, fall, alpha.shape), (0, 0), rng.uniform(0.006, 0.02) * size)
    return (1 - rng.uniform(0.25, 0.55) * cast).astype(np.float32)


def _photograph(rng: np.random.Generator, picture: Texture, light: np.ndarray) -> Texture:
    """Add uneven light, a vignette and sensor noise."""
    size = picture.shape[0]
    place = np.linspace(-1, 1, size, dtype=np.float32)
    exposure = 1 + rng.uniform(0, 0.2) * (light[0] * place + light[1] * place[:, None])
    exposure -= rng.uniform(0, 0.2) * (place**2 + place[:, None] ** 2 - 0.6)
    if rng.random() < 0.3:
        exposure *= 1 + 0.25 * np.clip(fractal(rng, size, cells=(4, 4)), -1, 1)
    picture = picture * exposure.astype(np.float32)[..., None]
    picture += rng.uniform(0.004, 0.02) * rng.standard_normal((size, size, 1), dtype=np.float32)
    return np.clip(picture, 0, 1).astype(np.float32)
