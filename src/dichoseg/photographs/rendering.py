"""Rendering of a prediction as a mask or a cut-out, encoded as the bytes of a file."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from ..checking import choice, number, whole
from ..data.formats import LARGEST_SIDE
from ..data.results import SOFTWARE
from ..inference.predictor import to_uint8
from .cutout import Backdrop, bounding_box, cut_out, parse_background, times_alpha
from .opened import OpenedPhotograph, plain_exif

Format: TypeAlias = Literal["png", "webp", "jpg", "avif", "gif"]

CUTOUT_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 4},  # level 6 takes more than twice the time to save 6 %
    "webp": {"format": "WEBP", "quality": 95, "alpha_quality": 100},
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},  # coarser color would be a halo around the foreground
    "avif": {"format": "AVIF", "quality": 90, "subsampling": "4:4:4"},
    "gif": {"format": "GIF", "comment": SOFTWARE, "disposal": 2},
}
MASK_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True},
    "jpg": {"format": "JPEG", "quality": 95},
    "avif": {"format": "AVIF", "quality": 100, "subsampling": "4:0:0"},
    "gif": {"format": "GIF", "comment": SOFTWARE},
}
LOSSLESS = ("png", "gif")


class Frame(NamedTuple):
    """One rendered picture, before it is cropped, and its mask (H, W)."""

    picture: PillowImage.Image
    mask: NDArray[np.uint8]


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
    both: bool = False
    """True to write a mask and a cut-out of each photograph."""
    keep_kind: bool = False
    """True if the result of an animation has the animation's format, not `format`."""

    def __post_init__(self) -> None:
        """Check the values, and read a picture that is the background."""
        has_cutout = self.cutout or self.both
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
            if self.format in LOSSLESS or (self.format == "webp" and not has_cutout):
                raise ValueError(f"the result is lossless, so quality={self.quality} has no effect; leave it out")
        if self.threads is not None:
            whole("threads", self.threads, least=1)
        if self.background is not None:
            if not has_cutout:
                raise ValueError("background is for cut-outs only; choose cutout=True")
            _ = self.backdrop
        elif has_cutout and self.format == "jpg":
            raise ValueError(
                "a jpg file has no alpha channel for a cut-out; choose png or webp, or a background such as white"
            )

    @functools.cached_property
    def backdrop(self) -> Backdrop | None:
        """The background: a color, or a picture."""
        return None if self.background is None else parse_background(self.background)

    @functools.cached_property
    def kinds(self) -> dict[str, Rendering]:
        """Rendering of each kind of result, `"mask"` and `"cutout"`."""
        if not self.both:
            return {"cutout" if self.cutout else "mask": self}
        quality = None if self.format in (*LOSSLESS, "webp") else self.quality
        return {
            "mask": dataclasses.replace(self, both=False, cutout=False, background=None, quality=quality),
            "cutout": dataclasses.replace(self, both=False, cutout=True),
        }

    def encoded(self, photograph: OpenedPhotograph, probability: NDArray[np.float32]) -> bytes:
        """Encode the result as the bytes of a file."""
        return self.encoded_frames([self.frame(photograph, probability)], photograph)

    def frame(self, photograph: OpenedPhotograph, probability: NDArray[np.float32]) -> Frame:
        """Render a picture."""
        mask = self._mask(probability)
        seen = times_alpha(mask, photograph.alpha)
        if not self.cutout:
            return Frame(PillowImage.fromarray(mask), seen)
        pixels = _eight_bits(photograph.pixels)
        picture = cut_out(
            pixels if photograph.alpha is None else np.dstack([pixels, photograph.alpha]),
            mask,
            background=self.backdrop,
            estimate=self.estimate,
            keep_colors=self.keep_colors,
            threads=self.threads,
        )
        return Frame(picture, seen)

    def encoded_frames(self, frames: Sequence[Frame], photograph: OpenedPhotograph, **timing: Any) -> bytes:
        """Encode a picture, or an animation, as the bytes of a file.

        Args:
            frames: Rendered pictures; all are cropped alike.
            photograph: Photograph whose metadata is kept.
            **timing: `duration` and `loop` of an animation, as Pillow's `save` takes them.
        """
        options: dict[str, Any] = {"exif": plain_exif().tobytes()}
        if self.cutout:
            options |= CUTOUT_OPTIONS[self.format] | photograph.kept
            if photograph.exif is not None and not self.drop_exif:
                options["exif"] = photograph.exif
        else:
            options |= MASK_OPTIONS[self.format]
        if self.quality is not None:
            options["quality"] = self.quality
        pictures = [frame.picture for frame in frames]
        if self.crop:
            seen = functools.reduce(np.maximum, (frame.mask for frame in frames))
            box = bounding_box(seen, margin=self.margin)
            pictures = [picture.crop(box) for picture in pictures]
        self._check_size(*pictures[0].size)
        if self.format == "gif":
            pictures = list(map(_on_or_off, pictures))
        if len(pictures) > 1:
            options |= {"save_all": True, "append_images": pictures[1:], **timing}
        buffer = io.BytesIO()
        pictures[0].save(buffer, **options)
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


def _on_or_off(picture: PillowImage.Image) -> PillowImage.Image:
    """Make each pixel opaque or transparent, because a GIF file knows nothing between."""
    if picture.mode == "RGBA":
        pixels = np.array(picture)
        pixels[..., 3] = np.where(pixels[..., 3] < 128, 0, 255)
        pixels[pixels[..., 3] == 0] = 0
        picture = PillowImage.fromarray(pixels)
    return picture


def _eight_bits(pixels: NDArray[np.uint8] | Tensor) -> NDArray[np.uint8]:
    if isinstance(pixels, torch.Tensor):
        return np.ascontiguousarray((pixels * 255).round().byte().permute(1, 2, 0).numpy())
    return pixels
