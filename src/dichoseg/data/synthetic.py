"""Synthetic dichotomous scenes, drawn on the fly."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from ..contracts import Sample
from ._scenes import SHAPES, Canvas, ground, surface

SUPERSAMPLING = 2


class SyntheticDataset(Dataset[Sample]):
    """Scenes with thin structures, meshes, holes and textured grounds; the same for the same seed and index.

    Each is a wheel, a net, a tree, a head of hair, a ship, a gear, a lattice tower or a chair, somewhere in the
    picture, before a ground with a texture and distractions of its own, lit, and with a soft shadow that is not
    part of the mask. For demonstrations, tests and benchmarks; nothing is downloaded.

    Args:
        length: Number of scenes.
        size: Side of the square images, in pixels; 32 or more.
        seed: Scenes of different seeds have nothing in common.

    Raises:
        ValueError: A length below 1 or a size below 32.
    """

    def __init__(self, length: int, *, size: int = 256, seed: int = 0) -> None:
        if length < 1:
            raise ValueError(f"length must be 1 or more; got {length}")
        if size < 32:
            raise ValueError(f"size must be 32 pixels or more; got {size}")
        self.length = length
        self.size = size
        self.seed = seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Draw one scene."""
        if not -self.length <= index < self.length:
            raise IndexError(f"index {index} is out of range for {self.length} scenes")
        index %= self.length
        rng = np.random.default_rng([self.seed, index])
        kind = int(rng.integers(len(SHAPES)))
        size = self.size
        canvas = _placed(rng, SHAPES[kind](rng, size * SUPERSAMPLING))
        alpha = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        background = ground(rng, size)
        foreground = surface(rng, size, away_from=background.mean(axis=(0, 1)))
        if rng.random() < 0.5:
            shift = np.array([[1, 0, rng.uniform(-0.05, 0.05) * size], [0, 1, rng.uniform(0.01, 0.06) * size]])
            shadow = cv2.GaussianBlur(cv2.warpAffine(alpha, shift, (size, size)), (0, 0), size * 0.02)
            background = background * (1 - rng.uniform(0.2, 0.5) * shadow[..., None])
        picture = background + alpha[..., None] * (foreground - background)
        picture += rng.normal(0, 0.015, picture.shape)
        image = torch.from_numpy(np.clip(picture, 0, 1).astype(np.float32)).permute(2, 0, 1).contiguous()
        return Sample(image, torch.from_numpy(alpha)[None], f"{SHAPES[kind].__name__}_{index:04d}")


def _placed(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Turn, scale, mirror and move a drawing."""
    size = canvas.shape[0]
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 12), rng.uniform(0.65, 1.15))
    turn[:, 2] += rng.uniform(-0.2, 0.2, 2) * size
    if rng.random() < 0.5:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
    return np.asarray(cv2.warpAffine(canvas, turn, (size, size)), dtype=np.uint8)
