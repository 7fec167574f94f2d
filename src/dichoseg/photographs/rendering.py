"""Rendering of a prediction as a mask or a cut-out, encoded as the bytes of a file."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage
from torch import Tensor

from ..checking import choice, number, whole
from ..data.decoding import eight_bits, image_tensor, is_deep, open_image, opened
from ..inference.predictor import to_uint8
from .cutout import bounding_box, cut_out, parse_color

Format: TypeAlias = Literal["png", "webp", "jpg"]

CUTOUT_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 4},  # level 6 takes more than twice the time to save 6 %
    "webp": {"format": "WEBP", "quality": 95, "alpha_quality": 100},
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},  # coarser color would be a halo around the foreground
}
MASK_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True},
    "jpg": {"format": "JPEG", "quality": 95},
}
SOFTWARE = "dichoseg"
"""EXIF field `Software` of results, by which they are known from photographs."""
LARGEST_SIDE = {"webp": 16383, "jpg": 65500}
"""Longest side in pixels, for the formats that have a limit."""


@dataclasses.dataclass(frozen=True)
class OpenedPhotograph:
    """Photograph as a predictor takes it, with the metadata that its cut-out keeps."""

    pixels: NDArray[np.uint8] | Tensor
    """(H, W, 3) uint8; or, if the file has more than 8 bits, (3, H, W) float in [0, 1]."""
    kept: dict[str, Any]
    """`icc_profile` and `dpi`, if the file has them, as arguments of Pillow's `save`."""

    @classmethod
    def read(cls, source: Path | bytes) -> OpenedPhotograph:
        """Read a file, or its bytes; raise the same errors as `read_image`."""
        picture = open_image(source)
        kept = {"icc_profile": _rgb_profile(picture), "dpi": _resolution(picture)}
        pixels = image_tensor(picture) if is_deep(picture) else eight_bits(picture)
        return cls(pixels, {name: value for name, value in kept.items() if value is not None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendering:
    """Options for rendering a prediction; their meaning and errors are those of `predict_files`."""

    cutout: bool
    background: str | None
    format: Format
    threshold: float | None
    crop: bool
    estimate: bool = True
    """True to estimate a cut-out's colors, as in `cut_out`."""
    threads: int | None = None
    """Number of threads for files and for the estimate."""

    def __post_init__(self) -> None:
        """Check the values."""
        choice("format", self.format, MASK_OPTIONS)
        if self.threshold is not None:
            number("threshold", self.threshold, high=1)
        if self.threads is not None:
            whole("threads", self.threads, least=1)
        if self.background is not None:
            parse_color(self.background)
            if not self.cutout:
                raise ValueError("background is for cut-outs only; choose cutout=True")
        elif self.cutout and self.format == "jpg":
            raise ValueError(
                "a jpg file has no alpha channel for a cut-out; choose png or webp, or a background such as white"
            )

    def encoded(self, photograph: OpenedPhotograph, probability: NDArray[np.float32]) -> bytes:
        """Encode the result as the bytes of a file."""
        mask = self._mask(probability)
        box = bounding_box(mask) if self.crop else (0, 0, mask.shape[1], mask.shape[0])
        self._check_size(box[2] - box[0], box[3] - box[1])
        if self.cutout:
            background = None if self.background is None else parse_color(self.background)
            picture = cut_out(
                _eight_bits(photograph.pixels),
                mask,
                background=background,
                estimate=self.estimate,
                threads=self.threads,
            )
            options = CUTOUT_OPTIONS[self.format] | photograph.kept
        else:
            picture = PillowImage.fromarray(mask)
            options = MASK_OPTIONS[self.format]
        if self.crop:
            picture = picture.crop(box)
        buffer = io.BytesIO()
        exif = PillowImage.Exif()
        exif[ExifTags.Base.Software] = SOFTWARE
        picture.save(buffer, exif=exif, **options)
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


def is_written_by_dichoseg(path: Path) -> bool:
    """Return whether a file is a result of dichoseg."""
    try:
        with opened(path) as image:
            return image.getexif().get(ExifTags.Base.Software) == SOFTWARE
    except (OSError, ValueError):
        return False


def _eight_bits(pixels: NDArray[np.uint8] | Tensor) -> NDArray[np.uint8]:
    if isinstance(pixels, torch.Tensor):
        return np.ascontiguousarray((pixels * 255).round().byte().permute(1, 2, 0).numpy())
    return pixels


def _rgb_profile(picture: PillowImage.Image) -> bytes | None:
    """Return the ICC profile if it is for RGB, as the pixels are by now; one for CMYK or gray would be wrong."""
    profile = picture.info.get("icc_profile") or b""
    return profile if profile[16:20] == b"RGB " else None


def _resolution(picture: PillowImage.Image) -> tuple[float, float] | None:
    """Return the dots per inch, across and down, if they are plausible and fit into the 16 bits of JPEG."""
    try:
        across, down = (float(value) for value in picture.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= 65535 and 1 <= down <= 65535 else None
