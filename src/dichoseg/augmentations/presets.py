"""What the presets do, and how strongly: one table for the CPU and the GPU."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..contracts import whole_number
from .checks import checked_input_scale, checked_probability

ELASTIC_NODES = 8
"""Nodes of the elastic grid along each side."""
ELASTIC_SHIFT = 0.015
"""Largest displacement of a node along each axis, as a fraction of that side."""
BRIGHTNESS = 0.2
"""Largest shift of the brightness, up or down, where white is 1."""
CONTRAST = 0.2
"""Largest change of the contrast, up or down, as a fraction."""
GAMMA = (0.8, 1.2)
"""Smallest and largest exponent."""
CLIP_LIMIT = (1.0, 4.0)
"""Smallest and largest clip limit of CLAHE."""
TILES = (8, 8)
"""Tiles of CLAHE, down and across."""
ZOOM = (0.75, 1.25)
"""Smallest and largest enlargement about the middle."""
ROTATION = 15.0
"""Largest rotation about the middle, either way, in degrees."""
COLOR_JITTER = ((0.5, 1.5), (0.5, 1.5), (0.0, 2.0), (-0.05, 0.05))
"""Factors of brightness, contrast and saturation; shift of the hue, as a fraction of a turn."""
BLUR_SIGMA = (0.5, 1.5)
"""Smallest and largest standard deviation of a Gaussian blur, in pixels."""
BLUR_KERNEL = 9
"""Side of its window, three standard deviations either way, in pixels."""
SALT_PEPPER = 0.0015
"""Share of the pixels that become white or black."""
JPEG_QUALITY = (50, 95)
"""Lowest and highest quality of the compression."""


class Settings(NamedTuple):
    """The steps of an augmentation: probabilities per image, a scale and a count. The defaults do nothing."""

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    rotate90: float = 0.0
    input_scale: float = 1.0
    elastic: float = 0.0
    affine: float = 0.0
    clahe: float = 0.0
    brightness_contrast: float = 0.0
    gamma: float = 0.0
    color_jitter: float = 0.0
    grayscale: float = 0.0
    gaussian_blur: float = 0.0
    salt_pepper: float = 0.0
    jpeg: float = 0.0
    blur_patches: int = 0


PRESETS = {
    "dis-tuning": Settings(
        horizontal_flip=0.5,
        vertical_flip=0.8,
        rotate90=0.8,
        input_scale=1.25,
        elastic=0.8,
        clahe=0.8,
        brightness_contrast=0.8,
        gamma=0.8,
        blur_patches=5,
    ),
    "isnet": Settings(horizontal_flip=0.5),
    "strong": Settings(
        horizontal_flip=0.5,
        input_scale=1.25,
        affine=0.5,
        color_jitter=0.8,
        grayscale=0.1,
        gaussian_blur=0.2,
        salt_pepper=0.2,
        jpeg=0.2,
    ),
}


def choose(preset: str, changes: Mapping[str, float | None]) -> Settings:
    """The settings of a preset, with those changes that are not None.

    Raises:
        ValueError: No such preset (with the nearest), or a value out of its range.
        TypeError: A value that is no number.
    """
    if preset not in PRESETS:
        near = difflib.get_close_matches(preset, PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no augmentation preset {preset!r}{hint} (known: {', '.join(PRESETS)})")
    wanted: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    settings = PRESETS[preset]._replace(**wanted)
    for name, value in settings._asdict().items():
        if name == "input_scale":
            checked_input_scale(value)
        elif name == "blur_patches":
            whole_number(name, value)
        else:
            checked_probability(name, value)
    return settings
