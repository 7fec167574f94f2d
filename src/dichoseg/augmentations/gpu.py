"""Augmentation presets for the tensors' device."""

from __future__ import annotations

import functools
from typing import Unpack

from .compose import Compose
from .presets import Steps, choose


def gpu_augmentation(preset: str = "dis_tuning", **changes: Unpack[Steps]) -> Compose:
    """Build a published augmentation recipe that runs on the tensors' device.

    `gpu_augmentation("strong", jpeg=0.5, affine=0)`

    `"dis_tuning"` is the recipe of the tuning of IS-Net: random crop from images 1.25 times as large (1280 -> 1024),
    quarter turns 0.8, elastic deformation 0.8, horizontal flip 0.5, vertical flip 0.8, CLAHE 0.8, brightness and
    contrast 0.8, gamma 0.8, and five blurred patches on the border of every image. `"isnet"` is IS-Net's own recipe:
    horizontal flip 0.5, nothing else. `"strong"` adds steps of newer recipes to it: random crop from images 1.25 times
    as large, horizontal flip 0.5, zoom and rotation 0.5, color jitter 0.8, gray 0.1, Gaussian blur 0.2, salt and pepper
    0.2, JPEG 0.2.

    Source of `"dis_tuning"`: the tuning's code, for the steps and their probabilities. It does not give the strength of
    the elastic deformation, CLAHE, brightness, contrast and gamma. Here, each node of an 8 by 8 grid moves by up to
    1.5 % of the side along each axis; CLAHE equalizes the luma in 8 by 8 tiles with a clip limit of 1 to 4; the
    contrast changes by up to 20 % and the brightness by up to 0.2 of white, drawn once for both; and the exponent of
    gamma is 0.8 to 1.2. Patches have the sizes of `RandomBlurPatches`.

    Sources of `"strong"`: InSPyReNet's configuration, for a zoom of 0.75 to 1.25 with probability 0.5; BiRefNet's and
    MVANet's code, for a rotation by up to 15 degrees, brightness and contrast times 0.5 to 1.5, saturation times 0 to
    2, each drawn separately and applied in random order, and 0.15 % of the pixels white or black; the tuning, for the
    crop. These settings are ours: a hue shift of up to 0.05 of a turn, the gray images, the blur with a std of 0.5 to
    1.5 pixels, a JPEG quality of 50 to 95, and the probabilities of photometric steps (BiRefNet applies its own to
    every image). Sharpening is left out, because Kornia and albumentations define it differently. Zoom and rotation
    are one step, drawn together, with reflection padding for image and mask.

    Args:
        preset: `"dis_tuning"`, `"isnet"` or `"strong"`.
        **changes: Values that replace the preset's, by the names of `dichoseg.augmentations.Steps`.
    """
    from .gpu_steps import STEPS

    return Compose(*(STEPS[name](value) for name, value in choose(preset, changes).items()))


dis_tuning = functools.partial(gpu_augmentation, "dis_tuning")
isnet = functools.partial(gpu_augmentation, "isnet")
strong = functools.partial(gpu_augmentation, "strong")
