"""Open image files of any mode, and decode photographs."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps, UnidentifiedImageError
from PIL import Image as PillowImage
from torch import Tensor

from ..untrusted import UnusableFileError
from .formats import HEIF_ADVICE, lacks_heif, usable_formats
from .profiles import to_srgb

MOST_PAGES = 100
"""Number of pages of a TIFF file among which the largest is looked for."""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def read_image(path: str | Path) -> Tensor:
    """Read a photograph: (3, H, W) float32, RGB in [0, 1], with its EXIF orientation applied.

    Any mode that Pillow reads, 8 or 16 bit; CMYK, CIE LAB and gray are converted by their color profile. An alpha
    channel is dropped; the colors under it are those in the file. An animation gives its first frame, a TIFF file its
    largest page. Broken metadata, such as EXIF, is ignored.

    Raises:
        FileNotFoundError: The file does not exist.
        UnusableFileError: A ValueError. The file is not a readable image: its format is none of JPEG, PNG, WebP, TIFF,
            BMP, GIF, PPM, TGA, JPEG 2000, AVIF, HEIF (with a plugin), ICO, PCX, QOI, SGI; it is broken or truncated; or
            it has more pixels than `pixel_limit` allows, by default 179 million. The message names the file.
    """
    return image_tensor(open_image(path))


def to_unit(pixels: Tensor) -> Tensor:
    """Convert uint8 pixels to float32 in [0, 1]; return float pixels unchanged."""
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def image_tensor(image: PillowImage.Image) -> Tensor:
    """Convert a Pillow image to (3, H, W) float32, RGB in [0, 1]."""
    return to_unit(image_pixels(image))


def image_pixels(image: PillowImage.Image) -> Tensor:
    """Convert a Pillow image to RGB (3, H, W): uint8, or float32 in [0, 1] if it has more than 8 bits."""
    if is_deep(image):
        return torch.from_numpy(scaled(np.array(image), image.mode)).expand(3, -1, -1).contiguous()
    return torch.from_numpy(rgb_pixels(to_srgb(image))).permute(2, 0, 1)  # (3, H, W)


def check_tensor(tensor: Tensor, channels: int) -> None:
    """Refuse tensors that would broadcast, and bytes that would be taken for an image in [0, 1]."""
    if tensor.ndim != 3 or tensor.shape[0] != channels or not tensor.is_floating_point():
        raise ValueError(
            f"a tensor must be ({channels}, H, W), float in [0, 1]; got {tuple(tensor.shape)} of {tensor.dtype}"
        )
    low, high = tensor.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"a tensor must hold numbers in [0, 1]; got {low:g} to {high:g}")


def eight_bits(image: PillowImage.Image) -> NDArray[np.uint8]:
    """Convert a Pillow image to RGB (H, W, 3) of 8 bits."""
    if is_deep(image):
        return (image_tensor(image).permute(1, 2, 0) * 255).round().byte().contiguous().numpy()
    return rgb_pixels(to_srgb(image))


def alpha_channel(image: PillowImage.Image) -> NDArray[np.uint8] | None:
    """Return the alpha channel of a Pillow image, (H, W); None if it is opaque."""
    if is_deep(image) or not image.has_transparency_data:
        return None
    alpha = alpha_of(image)
    return None if alpha.min() == 255 else alpha


def alpha_of(image: PillowImage.Image) -> NDArray[np.uint8]:
    """Return the alpha channel of an 8-bit Pillow image, (H, W); all 255 without one."""
    return np.array(image.convert("RGBA").getchannel("A"))


def rgb_pixels(image: PillowImage.Image) -> NDArray[np.uint8]:
    """Convert an 8-bit Pillow image to RGB (H, W, 3)."""
    if "transparency" in image.info:
        image = image.convert("RGBA")  # or Pillow would warn that it drops the transparency of a palette
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def open_image(source: str | Path | bytes) -> PillowImage.Image:
    """Read a file, or its bytes, and apply its EXIF orientation to the pixels and `dpi`; errors name the file."""
    with opened(source) as image:
        choose_picture(image)
        return upright(image)


def open_reduced(path: str | Path, *, at_least: int) -> tuple[PillowImage.Image, tuple[int, int]]:
    """Read a file as `open_image` does, but decode a JPEG at 1/2, 1/4 or 1/8 of its size if that is large enough.

    This is faster, and gives approximately the averages of the pixels. The factor divides both sides, so that the image
    stays aligned with its mask.

    Args:
        path: Path of the file.
        at_least: Number of pixels that the shorter side must keep.

    Returns:
        The image, and the width and height of the whole image, upright.
    """
    with opened(path) as image:
        whole = image.size
        factor = math.gcd(*whole, 8)
        while factor > 1 and min(whole) < at_least * factor:
            factor //= 2
        if factor > 1:
            image.draft(None, (whole[0] // factor, whole[1] // factor))
        if image.size == whole:  # too small, or not a JPEG
            factor = 1
        picture = upright(image)
        return picture, (factor * picture.width, factor * picture.height)


def choose_picture(image: PillowImage.Image) -> str | None:
    """Choose the largest picture of a TIFF file, whose first one may be a preview; return a note if there are several.

    Of other files the first picture is taken: the photograph, or the first frame of an animation.
    """
    count = getattr(image, "n_frames", 1)
    if count == 1:
        return None
    chosen = 0
    if image.format == "TIFF":
        areas = []
        for index in range(min(count, MOST_PAGES)):
            image.seek(index)
            areas.append(image.width * image.height)
        chosen = areas.index(max(areas))
        image.seek(chosen)
    return f"holds {count} pictures; number {chosen + 1} is taken"


def upright(image: PillowImage.Image) -> PillowImage.Image:
    """Decode an image, and return a copy with its EXIF orientation applied to the pixels and `dpi`."""
    sideways = is_sideways(image)  # before decoding, in which Pillow turns a TIFF file
    load(image)
    try:
        result = ImageOps.exif_transpose(image)
    except Exception:  # cameras write broken EXIF, at which Pillow fails in any way, mostly when it rewrites the EXIF
        result = image.copy()
        with suppress(Exception):
            ImageOps.exif_transpose(result, in_place=True)  # this turns the pixels first
    if sideways and "dpi" in result.info:
        result.info["dpi"] = result.info["dpi"][::-1]
    return result


def upright_size(image: PillowImage.Image) -> tuple[int, int]:
    """Return width and height of an opened file with its EXIF orientation applied, without decoding it."""
    turned = image.format != "TIFF" and is_sideways(image)  # Pillow's TIFF reader has swapped them already
    return image.size[::-1] if turned else image.size


def is_sideways(image: PillowImage.Image) -> bool:
    """Return whether an image's EXIF orientation swaps width and height; False if the EXIF is broken."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
    except Exception:  # as in `upright`
        return False


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[PillowImage.Image]:
    """Open a file, or its bytes, without decoding it; turn any error inside the block into one that names the file."""
    path = f"the image of {len(source)} bytes" if isinstance(source, bytes) else source
    try:
        with (
            _pillow_is_silent(),
            PillowImage.open(
                io.BytesIO(source) if isinstance(source, bytes) else source, formats=usable_formats()
            ) as image,
        ):
            yield image
    except FileNotFoundError:
        raise FileNotFoundError(f"no image at {path}") from None
    except IsADirectoryError:
        raise UnusableFileError(f"{path} is a folder; wanted an image file") from None
    except UnidentifiedImageError as error:
        advice = f"; {HEIF_ADVICE}" if lacks_heif(str(path)) else ""
        raise UnusableFileError(f"{path} is not an image that can be read{advice}") from error
    except PillowImage.DecompressionBombError as error:
        raise UnusableFileError(
            f"{path} cannot be read as an image: {str(error).rstrip('.')}; if it is meant to be so large, raise "
            "PIL.Image.MAX_IMAGE_PIXELS, of which twice are allowed, or use dichoseg.data.pixel_limit"
        ) from error
    except Exception as error:  # with a broken file, Pillow's readers fail in any way
        text = str(error)[:500] or type(error).__name__
        raise UnusableFileError(f"{path} cannot be read as an image: {text}") from error


def load(image: PillowImage.Image) -> None:
    """Decode an opened file; call it inside `opened`."""
    image.load()
    if 0 in image.size:
        raise ValueError(f"it is {image.width}x{image.height} pixels")
    if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
        raise ValueError("it holds numbers that are not finite")


@contextmanager
def _pillow_is_silent() -> Iterator[None]:
    """Ignore Pillow's warnings about odd metadata, and about sizes between its limit and twice that, when it raises.

    `warnings.catch_warnings` would restore a list of filters that may be another thread's; this removes its own filter.
    """
    filters = cast("list[Any]", warnings.filters)
    ignored = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
    filters.insert(0, ignored)
    try:
        yield
    finally:
        with suppress(ValueError):  # another thread has reset all filters
            filters.remove(ignored)


def is_deep(image: PillowImage.Image) -> bool:
    """Return whether a pixel is one number of more than 8 bits: Pillow's modes I, I;16 and F."""
    return image.mode.startswith(("I", "F"))


def scaled(values: NDArray[Any], mode: str) -> NDArray[np.float32]:
    """Scale gray values to float32 in [0, 1]; white is 1, 255 or 65535, depending on the largest value and the mode."""
    peak = float(values.max(initial=0))
    white = 1 if peak <= 1 else 255 if peak <= 255 and not mode.startswith("I;16") else 65535
    result = values.astype(np.float32)
    result /= white
    return np.clip(result, 0, 1, out=result)
