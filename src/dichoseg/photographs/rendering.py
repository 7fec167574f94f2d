"""Rendering of a prediction as a mask or a cut-out, encoded as the bytes of a file."""

from __future__ import annotations

import dataclasses
import functools
import io
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from ..checking import choice, number, whole
from ..inference.predictor import to_uint8
from .cutout import Backdrop, bounding_box, cut_out, parse_background, times_alpha
from .opened import OpenedPhotograph, plain_exif

Format: TypeAlias = Literal["png", "webp", "jpg", "avif"]

CUTOUT_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 4},  # level 6 takes more than twice the time to save 6 %
    "webp": {"format": "WEBP", "quality": 95, "alpha_quality": 100},
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},  # coarser color would be a halo around the foreground
    "avif": {"format": "AVIF", "quality": 90, "subsampling": "4:4:4"},
}
MASK_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True},
    "jpg": {"format": "JPEG", "quality": 95},
    "avif": {"format": "AVIF", "quality": 100, "subsampling": "4:0:0"},
}
LARGEST_SIDE = {"webp": 16383, "jpg": 65500, "avif": 65535}
"""Longest side in pixels, for the formats that have a limit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendering:
    """Options for rendering a prediction; their meaning and errors are those of `predict_files`."""

    cutout: bool
    background: str | None = None
    format: Format = "png"
    threshold: float | None = None
    crop: bool = False
    margin: int = 0
    quality: int | None = None
    keep_colors: bool = False
    drop_exif: bool = False
    estimate: bool = True
    """True to estimate a cut-out's colors, as in `cut_out`."""
    threads: int | None = None
    """Number of threads for files and for the estimate."""

    def __post_init__(self) -> None:
        """Check the values, and read a picture that is the background."""
        choice("format", self.format, MASK_OPTIONS)
        PillowImage.init()
        if self.format == "avif" and "AVIF" not in PillowImage.SAVE:
            raise ValueError("the installed Pillow cannot write avif; wanted one of 11.3 or later, with its codec")
        if self.threshold is not None:
            number("threshold", self.threshold, high=1)
        whole("margin", self.margin, least=0)
        if self.margin and not self.crop:
            raise ValueError(f"margin is for cropped results only; choose crop=True, or leave out margin={self.margin}")
        if self.quality is not None:
            number("quality", whole("quality", self.quality), low=1, high=100)
            if self.format == "png" or (self.format == "webp" and not self.cutout):
                raise ValueError(f"the result is lossless, so quality={self.quality} has no effect; leave it out")
        if self.threads is not None:
            whole("threads", self.threads, least=1)
        if self.background is not None:
            if not self.cutout:
                raise ValueError("background is for cut-outs only; choose cutout=True")
            _ = self.backdrop
        elif self.cutout and self.format == "jpg":
            raise ValueError(
                "a jpg file has no alpha channel for a cut-out; choose png or webp, or a background such as white"
            )

    @functools.cached_property
    def backdrop(self) -> Backdrop | None:
        """The background: a color, or a picture."""
        return None if self.background is None else parse_background(self.background)

    def encoded(self, photograph: OpenedPhotograph, probability: NDArray[np.float32]) -> bytes:
        """Encode the result as the bytes of a file."""
        mask = self._mask(probability)
        options: dict[str, Any] = {"exif": plain_exif().tobytes()}
        if self.cutout:
            mask = times_alpha(mask, photograph.alpha)
            picture = cut_out(
                _eight_bits(photograph.pixels),
                mask,
                background=self.backdrop,
                estimate=self.estimate,
                keep_colors=self.keep_colors,
                threads=self.threads,
            )
            options |= CUTOUT_OPTIONS[self.format] | photograph.kept
            if photograph.exif is not None and not self.drop_exif:
                options["exif"] = photograph.exif
        else:
            picture = PillowImage.fromarray(mask)
            options |= MASK_OPTIONS[self.format]
        if self.quality is not None:
            options["quality"] = self.quality
        if self.crop:
            picture = picture.crop(bounding_box(mask, margin=self.margin))
        self._check_size(*picture.size)
        buffer = io.BytesIO()
        picture.save(buffer, **options)
        return buffer.getvalue()

    def _check_size(self, width: int, height: int) -> None:
        limit = LARGEST_SIDE.get(self.format)
        if limit is not None and max(width, height) > limit:
            raise ValueError(
                f"the result has {width}x{height} pixels; a {self.format} file holds at most {limit} per side, "
                "a png file more"
            )

    def _mask(self, probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        if self.threshold is None:
            return to_uint8(probability)
        return (probability >= self.threshold).astype(np.uint8) * np.uint8(255)


def _eight_bits(pixels: NDArray[np.uint8] | Tensor) -> NDArray[np.uint8]:
    if isinstance(pixels, torch.Tensor):
        return np.ascontiguousarray((pixels * 255).round().byte().permute(1, 2, 0).numpy())
    return pixels
