"""Augmentation presets for the data loader's workers, through albumentations."""

from __future__ import annotations

from typing import Unpack

from ..preprocessing import height_and_width
from .cpu_steps import STEPS, resize_and_crop
from .cpu_transforms import SeededTransform
from .presets import Steps, choose


def cpu_augmentation(
    preset: str = "dis_tuning", *, size: int | tuple[int, int] = 1024, **changes: Unpack[Steps]
) -> SeededTransform:
    """Build the recipe of `gpu_augmentation` for the workers: `FolderDataset(transform=cpu_augmentation("isnet"))`.

    Resizes each pair to `input_scale * size` pixels, by area if it shrinks, else bilinearly. Masks are resized in the
    same way, so that soft edges stay soft. Then crops a random window of `size` and applies the other steps through
    albumentations, with the same settings. `fit` seeds it, as described at `SeededTransform`. It can be pickled.

    Args:
        preset: A preset of `gpu_augmentation`.
        size: Size of the result in pixels: (height, width), or an int for a square. Use the model's size to avoid a
            second resizing.
        **changes: Values that replace the preset's, by the names of `dichoseg.augmentations.Steps`.
    """
    height, width = height_and_width(size)
    steps = choose(preset, changes)
    scale = steps.pop("input_scale", 1)
    before = resize_and_crop(height, width, scale)
    return SeededTransform(*before, *(STEPS[name](value) for name, value in steps.items()))
