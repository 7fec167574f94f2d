"""Presets: the steps, their probabilities and their strengths, shared by CPU and GPU.

A step is an entry of `Steps`, and one with the same name in `gpu_steps.STEPS` and in `cpu_steps.STEPS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ..checking import number, unknown, whole
from ..registry import current_name

ELASTIC_NODES = 8
"""Nodes of the elastic grid along each side."""
ELASTIC_SHIFT = 0.015
"""Largest displacement of a node along each axis, as a fraction of that side."""
BRIGHTNESS = 0.2
"""Largest shift of the brightness, up or down; white is 1."""
CONTRAST = 0.2
"""Largest change of the contrast, up or down, as a fraction."""
GAMMA = (0.8, 1.2)
"""Smallest and largest exponent of gamma."""
CLIP_LIMIT = (1.0, 4.0)
"""Smallest and largest clip limit of CLAHE."""
TILES = (8, 8)
"""Tiles of CLAHE, vertically and horizontally."""
ZOOM = (0.75, 1.25)
"""Smallest and largest scale about the center."""
ROTATION = 15.0
"""Largest rotation about the center, either way, in degrees."""
COLOR_JITTER = ((0.5, 1.5), (0.5, 1.5), (0.0, 2.0), (-0.05, 0.05))
"""Factors of brightness, contrast and saturation; shift of the hue, as a fraction of a turn."""
BLUR_SIGMA = (0.5, 1.5)
"""Smallest and largest std of the Gaussian blur, in pixels."""
BLUR_KERNEL = 9
"""Side of the Gaussian window, in pixels: three stds either way."""
SALT_PEPPER = 0.0015
"""Fraction of pixels that become white or black."""
JPEG_QUALITY = (50, 95)
"""Lowest and highest JPEG quality."""


class Steps(TypedDict, total=False):
    """Steps of an augmentation, in the order in which they are applied. Zero leaves a step out.

    All values are probabilities per image, except `input_scale`, a factor, and `blur_patches`, a count. Photometric
    steps leave the mask unchanged.
    """

    input_scale: float
    """Random crop: ratio of the loaded images' size to the output's. 1 means no crop."""
    rotate90: float
    """Random number of quarter turns."""
    elastic: float
    """Elastic deformation."""
    horizontal_flip: float
    """Horizontal flip."""
    vertical_flip: float
    """Vertical flip."""
    affine: float
    """Zoom and rotation."""
    clahe: float
    """Contrast-limited adaptive histogram equalization. Images must be larger than 8 pixels."""
    brightness_contrast: float
    """Change of brightness and contrast."""
    gamma: float
    """Change of gamma."""
    color_jitter: float
    """Change of brightness, contrast, saturation and hue."""
    grayscale: float
    """Conversion to gray."""
    gaussian_blur: float
    """Blur of the whole image. Images must be larger than 4 pixels."""
    salt_pepper: float
    """Salt-and-pepper noise."""
    jpeg: float
    """JPEG compression."""
    blur_patches: int
    """Number of blurred patches on each image's border between foreground and background."""


PRESETS: dict[str, Steps] = {
    "dis_tuning": {
        "input_scale": 1.25,
        "rotate90": 0.8,
        "elastic": 0.8,
        "horizontal_flip": 0.5,
        "vertical_flip": 0.8,
        "clahe": 0.8,
        "brightness_contrast": 0.8,
        "gamma": 0.8,
        "blur_patches": 5,
    },
    "isnet": {"horizontal_flip": 0.5},
    "strong": {
        "input_scale": 1.25,
        "horizontal_flip": 0.5,
        "affine": 0.5,
        "color_jitter": 0.8,
        "grayscale": 0.1,
        "gaussian_blur": 0.2,
        "salt_pepper": 0.2,
        "jpeg": 0.2,
    },
}


def choose(preset: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the active steps of a preset, with changes applied, in the order in which they are applied.

    Args:
        preset: A name in `PRESETS`.
        changes: Values that replace the preset's, by step; None changes nothing.
    """
    preset = current_name("augmentations", preset, stacklevel=4)
    if preset not in PRESETS:
        raise unknown(f"augmentation preset {preset!r}", preset, PRESETS)
    for name in changes:
        if name not in Steps.__annotations__:
            raise unknown(f"augmentation step {name!r}", name, Steps.__annotations__)
    chosen = {**PRESETS[preset], **{name: value for name, value in changes.items() if value is not None}}
    for name, value in chosen.items():
        if name == "input_scale":
            number(name, value, low=1)
        elif name == "blur_patches":
            whole(name, value)
        else:
            number(name, value, high=1)
    acting = {name for name, value in chosen.items() if value > (1 if name == "input_scale" else 0)}
    return {name: chosen[name] for name in Steps.__annotations__ if name in acting}
