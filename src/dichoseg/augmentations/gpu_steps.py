"""Steps of `gpu_augmentation`, by their names in `Steps`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import kornia.augmentation as K
from torch import nn

from ..contracts import Augmentation
from . import presets
from .blur_patches import RandomBlurPatches
from .clahe import RandomLumaClahe
from .compose import KorniaAugmentation, RandomApply
from .crop import RandomCrop
from .elastic import RandomElastic
from .rotate90 import RandomRotate90


def _apply(transform: nn.Module, p: float) -> RandomApply:
    """Apply a Kornia transform to images selected with probability `p`."""
    return RandomApply(KorniaAugmentation(transform), p)


STEPS: Mapping[str, Callable[[Any], Augmentation]] = {
    "input_scale": RandomCrop,
    "rotate90": RandomRotate90,
    "elastic": lambda p: RandomElastic(p, nodes=presets.ELASTIC_NODES, shift=presets.ELASTIC_SHIFT),
    "horizontal_flip": lambda p: _apply(K.RandomHorizontalFlip(p=1.0), p),
    "vertical_flip": lambda p: _apply(K.RandomVerticalFlip(p=1.0), p),
    "affine": lambda p: _apply(
        K.RandomAffine(presets.ROTATION, scale=presets.ZOOM, padding_mode="reflection", align_corners=True, p=1.0), p
    ),
    "clahe": lambda p: _apply(RandomLumaClahe(presets.CLIP_LIMIT, presets.TILES, p=1.0), p),
    "brightness_contrast": lambda p: _apply(K.ColorJiggle(presets.BRIGHTNESS, presets.CONTRAST, p=1.0), p),
    "gamma": lambda p: _apply(K.RandomGamma(presets.GAMMA, p=1.0), p),
    "color_jitter": lambda p: _apply(K.ColorJitter(*presets.COLOR_JITTER, p=1.0), p),
    "grayscale": lambda p: _apply(K.RandomGrayscale(p=1.0), p),
    "gaussian_blur": lambda p: _apply(
        K.RandomGaussianBlur((presets.BLUR_KERNEL, presets.BLUR_KERNEL), presets.BLUR_SIGMA, p=1.0), p
    ),
    "salt_pepper": lambda p: _apply(
        K.RandomSaltAndPepperNoise((presets.SALT_PEPPER, presets.SALT_PEPPER), (0.5, 0.5), p=1.0), p
    ),
    "jpeg": lambda p: _apply(K.RandomJPEG(presets.JPEG_QUALITY, p=1.0), p),
    "blur_patches": RandomBlurPatches,
}
"""Function of each step's value that makes the augmentation."""
