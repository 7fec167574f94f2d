"""Presets of augmentation on the tensors' device."""

from __future__ import annotations

import functools
from typing import Unpack

from . import gpu_steps
from .compose import Compose
from .presets import Steps, choose


def gpu_augmentation(preset: str = "dis_tuning", **changes: Unpack[Steps]) -> Compose:
    """Build a published augmentation recipe that runs on the tensors' device.

    `gpu_augmentation("strong", jpeg=0.5, affine=0)`

    `"dis_tuning"` is that of the tuning of IS-Net: random crop from images 1.25 times as large (1280 -> 1024), quarter
    turns 0.8, elastic deformation 0.8, horizontal flip 0.5, vertical flip 0.8, CLAHE 0.8, brightness and contrast
    0.8, gamma 0.8, and five blurred patches on the border of every image. `"isnet"` is IS-Net's own: horizontal flip
    0.5, nothing else. `"strong"` is what newer recipes of the field add to it: random crop from images 1.25 times as
    large, horizontal flip 0.5, zoom and rotation 0.5, color jitter 0.8, gray 0.1, Gaussian blur 0.2, salt and pepper
    0.2, JPEG 0.2.

    Source of the tuning's recipe: its code, for the steps and their probabilities. It does not give the strength of the
    elastic deformation, CLAHE, brightness, contrast and gamma; here each node of an 8 by 8 grid moves by up to 1.5 % of
    the side along each axis, CLAHE equalizes the luma in 8 by 8 tiles with a clip limit of 1 to 4, the contrast
    changes by up to 20 % and the brightness by up to 0.2 of white, drawn once for both, and the exponent is 0.8 to
    1.2. Patches have the sizes of `RandomBlurPatches`.

    Sources of the strong recipe: InSPyReNet's configuration, for a zoom of 0.75 to 1.25 with probability 0.5;
    BiRefNet's and MVANet's code, for a rotation by up to 15 degrees, brightness and contrast times 0.5 to 1.5,
    saturation times 0 to 2, each drawn separately and applied in random order, and 0.15 % of the pixels white or black;
    the tuning, for the crop. Ours are the hue, shifted by up to 0.05 of a turn, the gray images, the blur with a
    standard deviation of 0.5 to 1.5 pixels, a JPEG quality of 50 to 95, and the probabilities of photometric steps
    (BiRefNet applies its own to every image). Their sharpening is left out, because Kornia and albumentations define it
    differently. Zoom and rotation are drawn once for both steps; beyond the image lies its reflection, also in the
    mask.

    Args:
        preset: `"dis_tuning"`, `"isnet"` or `"strong"`.
        **changes: Values that replace the preset's, by the names of `dichoseg.augmentations.Steps`.

    Raises:
        ValueError: There is no such preset or step, or a value is out of range.
    """
    return Compose(*(getattr(gpu_steps, name)(value) for name, value in choose(preset, changes).items()))


dis_tuning = functools.partial(gpu_augmentation, "dis_tuning")
isnet = functools.partial(gpu_augmentation, "isnet")
strong = functools.partial(gpu_augmentation, "strong")
