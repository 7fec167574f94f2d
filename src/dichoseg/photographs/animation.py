"""Animations: the frames of a file, and their results, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from ..data.decoding import opened, upright
from .opened import OpenedPhotograph
from .rendering import Format, Frame, Rendering

KINDS: dict[str, Format] = {"GIF": "gif", "WEBP": "webp", "PNG": "png"}
"""Format of the result for each format of Pillow that has animations."""
CANDIDATES = (".gif", ".webp", ".png", ".apng")


def animation_kind(path: Path) -> Format | None:
    """Return the format of the result of an animation; None for any other file."""
    if path.suffix.lower() in CANDIDATES:
        with suppress(OSError, ValueError), opened(path) as image:
            if getattr(image, "is_animated", False):
                return KINDS.get(str(image.format))
    return None


@dataclasses.dataclass(frozen=True)
class Animation:
    """Frames of an animation, rendered, and when they are shown."""

    first: OpenedPhotograph
    """First frame, whose metadata the result keeps."""
    renderings: dict[str, Rendering]
    """Rendering of each kind of result."""
    frames: dict[str, list[Frame]]
    """Rendered frames of each kind of result."""
    timing: dict[str, Any]
    """`duration` of each frame and `loop`, as arguments of Pillow's `save`."""

    def encoded(self) -> list[bytes]:
        """Encode each kind of result as the bytes of a file."""
        return [
            rendering.encoded_frames(self.frames[kind], self.first, **self.timing)
            for kind, rendering in self.renderings.items()
        ]


def predict_frames(
    path: Path, predict: Callable[[Any], NDArray[np.float32]], renderings: dict[str, Rendering]
) -> Animation:
    """Decode, predict and render an animation frame by frame; only the rendered frames are kept.

    All frames together may have as many pixels as one image.
    """
    frames: dict[str, list[Frame]] = {kind: [] for kind in renderings}
    durations = []
    first: OpenedPhotograph | None = None
    with opened(path) as image:
        count: int = getattr(image, "n_frames", 1)
        _check_pixels(image, count)
        loop = {"loop": image.info["loop"]} if "loop" in image.info else {}
        for index in range(1 if image.info.get("default_image") else 0, count):
            image.seek(index)
            photograph = OpenedPhotograph.of(upright(image))
            durations.append(image.info.get("duration", 0))
            probability = predict(photograph.pixels)
            for kind, rendering in renderings.items():
                frames[kind].append(rendering.frame(photograph, probability))
            first = first or photograph
    if first is None:
        raise ValueError(f"{path} has no frames")
    return Animation(first, renderings, frames, {"duration": durations, **loop})


def _check_pixels(image: PillowImage.Image, count: int) -> None:
    limit = PillowImage.MAX_IMAGE_PIXELS
    if limit is not None and count * image.width * image.height > 2 * limit:
        raise ValueError(
            f"{count} frames of {image.width}x{image.height} pixels exceed {2 * limit} in all; raise "
            "PIL.Image.MAX_IMAGE_PIXELS, use dichoseg.data.pixel_limit, or choose a still format"
        )
