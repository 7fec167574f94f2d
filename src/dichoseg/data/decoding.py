"""Decode photographs and masks from files of any mode."""

from __future__ import annotations

import io
import math
import numbers
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, ImageColor, ImageOps, UnidentifiedImageError
from PIL import Image as PillowImage
from torch import Tensor

from ..untrusted import UnusableFileError
from .evidence import COLOR_STEP, alpha_is_mask, colors_of, label_ids_of
from .formats import HEIF_ADVICE, is_lossy, lacks_heif, usable_formats
from .profiles import to_srgb

Value: TypeAlias = int | str
"""Label id, or a color as `PIL.ImageColor` reads it."""
MOST_PAGES = 100
"""Number of pages of a TIFF file among which the largest is looked for."""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def read_image(path: str | Path) -> Tensor:
    """Read a photograph: (3, H, W) float32, RGB in [0, 1], with its EXIF orientation applied.

    Any mode that Pillow reads, 8 or 16 bit; CMYK, CIE LAB and gray are converted by their color profile. An alpha
    channel is dropped; the colors under it are those in the file. An animation gives its first frame, a TIFF file its
    largest page. Broken metadata,
    such as EXIF, is ignored.

    Raises:
        FileNotFoundError: The file does not exist.
        UnusableFileError: A ValueError. The file is not a readable image: its format is none of JPEG, PNG, WebP, TIFF,
            BMP, GIF, PPM, TGA, JPEG 2000, AVIF, HEIF (with a plugin), ICO, PCX, QOI, SGI; it is broken or truncated; or
            it has more pixels than `pixel_limit` allows, by default 179 million. The message names the file.
    """
    return image_tensor(open_image(path))


def read_mask(path: str | Path, *, foreground: Sequence[Value] | None = None, ignore: Sequence[Value] = ()) -> Tensor:
    """Read a mask: (1, H, W) float32 in [0, 1]; 1 is foreground.

    Reads gray, 1-bit, palette and color files, 8 or 16 bit, with their EXIF orientation applied; an alpha channel that
    is not constant is the mask. A mask of zeros and ones is black and white.

    Args:
        path: Path of the file.
        foreground: For masks of label ids: the ids that are foreground. The id of a pixel is the number in the file; in
            a palette file, it is the index of the color. For colored masks: colors, such as `"red"` or `"#ff0000"`;
            each pixel within 16 levels of one of them is foreground.
        ignore: Ids or colors that are read as background, because their pixels are ignored: 255 in masks of label ids,
            or 128, the gray of a trimap.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not a readable image, as for `read_image`. Without `foreground`, the mask has colors, or
            seems to hold label ids, such as a largest value of 2 to 31. With ids as `foreground`, it holds colors. The
            message names the file.
    """
    return to_unit(read_mask_pixels(path, foreground=foreground, ignore=ignore)[0])


def read_prediction(path: str | Path) -> tuple[NDArray[np.uint8] | NDArray[np.float32], str | None]:
    """Read the map that a model wrote, (H, W), for metrics.

    Files of 8 bits give uint8; deeper files give float in [0, 1], where white is 1, 255 or 65535 depending on the
    largest value. A color file gives its luminance. A file with an alpha channel that is not constant, such as a
    cut-out, gives that channel.

    Returns:
        The map, and the kind of an unusual file or None. The kinds are keys in `scores.json`.
    """
    image = open_image(path)
    if is_deep(image):
        return _scaled(np.array(image), image.mode), "predictions of more than 8 bits"
    if image.has_transparency_data:
        alpha = _alpha(image)
        if alpha.min() != alpha.max():
            return alpha, "predictions with an alpha channel"
    pixels = rgb_pixels(image)
    if (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0]), None
    return np.array(PillowImage.fromarray(pixels).convert("L")), "predictions in color"


def read_mask_pixels(
    path: str | Path, *, foreground: Sequence[Value] | None, ignore: Sequence[Value] = ()
) -> tuple[Tensor, Tensor | None]:
    """Read a mask as `read_mask` does, but keep 8 bits as (1, H, W) uint8; with its weight, if values are ignored."""
    image = open_image(path)
    try:
        mask = mask_pixels(image, path, foreground=foreground, ignore=ignore)
        return mask, weight_pixels(image, path, ignore=ignore) if ignore else None
    except ValueError as error:
        advice = "; foreground= says which ids are foreground, or which colors" if foreground is None else ""
        raise ValueError(f"{error}{advice}") from None


def check_values(name: str, values: Sequence[Value]) -> tuple[Value, ...]:
    """Check label ids and colors."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{name} must be a list of label ids or colors, such as [255] or ['red']; got {values!r}")
    for value in values:
        if isinstance(value, str):
            try:
                ImageColor.getrgb(value)
            except ValueError:
                raise ValueError(f"{name} must be label ids or colors, such as red or #ff0000; got {value!r}") from None
        elif isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{name} must be label ids or colors, such as [255] or ['red']; got {value!r}")
    return tuple(values)


def to_unit(pixels: Tensor) -> Tensor:
    """Convert uint8 pixels to float32 in [0, 1]; return float pixels unchanged."""
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def image_tensor(image: PillowImage.Image) -> Tensor:
    """Convert a Pillow image to (3, H, W) float32, RGB in [0, 1]."""
    return to_unit(image_pixels(image))


def image_pixels(image: PillowImage.Image) -> Tensor:
    """Convert a Pillow image to RGB (3, H, W): uint8, or float32 in [0, 1] if it has more than 8 bits."""
    if is_deep(image):
        return torch.from_numpy(_scaled(np.array(image), image.mode)).expand(3, -1, -1).contiguous()
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


def mask_pixels(
    image: PillowImage.Image, path: str | Path, *, foreground: Sequence[Value] | None, ignore: Sequence[Value] = ()
) -> Tensor:
    """Convert a Pillow image to a mask (1, H, W): uint8, or float32 in [0, 1] if it has more than 8 bits."""
    ignored = _has_value(image, path, ignore) if ignore else None
    if foreground is not None:
        inside = _has_value(image, path, foreground)
        return torch.from_numpy(inside if ignored is None else inside & ~ignored)[None].byte().mul_(255)
    if image.mode in ("LA", "RGBA", "PA") or _is_palette_of_alpha(image):
        alpha = image.convert("RGBA").getchannel("A")
        low, high = alpha.getextrema()
        if low != high and alpha_is_mask(rgb_pixels(image.convert("RGBA").convert("RGB")), np.array(alpha), path):
            image = alpha
    gray = _gray(image, path, ignored)
    peak = float(gray.max(initial=0))
    ids = label_ids_of(gray, is_deep=is_deep(image))
    is_exact = not ((ids or peak == 1) and is_lossy(path))
    if ids and is_exact:
        listed = ", ".join(f"{value:g}" for value in ids[:8]) + (", ..." if len(ids) > 8 else "")
        void = next((value for value in (-1, 255, 65535) if value in ids), None)
        advice = f"; {void} among small ids usually marks pixels to ignore: pass ignore={void}" if void else ""
        raise ValueError(
            f"{path}: the mask's values are {listed}, so it seems to hold label ids{advice}; "
            "wanted black and white (0 and 255, or 0 and 1), or gray up to white"
        )
    if is_deep(image):
        mode = "I" if peak == 255 else image.mode  # a mask of 8 bits, stored in 16
        return torch.from_numpy(_scaled(gray, mode))[None]
    return torch.from_numpy(gray if peak > 1 or not is_exact else gray * np.uint8(255))[None]


def weight_pixels(image: PillowImage.Image, path: str | Path, *, ignore: Sequence[Value]) -> Tensor:
    """Return the weights of a mask's pixels, (1, H, W) uint8: 0 for values in `ignore`, else 1."""
    return torch.from_numpy(~_has_value(image, path, ignore))[None].byte()


def alpha_channel(image: PillowImage.Image) -> NDArray[np.uint8] | None:
    """Return the alpha channel of a Pillow image, (H, W); None if it is opaque."""
    if is_deep(image) or not image.has_transparency_data:
        return None
    alpha = _alpha(image)
    return None if alpha.min() == 255 else alpha


def alpha_pixels(image: PillowImage.Image, path: str | Path) -> Tensor:
    """Convert the alpha channel of a Pillow image to a mask (1, H, W) of uint8; raise a ValueError without one."""
    if is_deep(image) or not image.has_transparency_data:
        raise ValueError(f"{path} has no alpha channel; wanted a cut-out (RGBA, LA or a palette), got {image.mode}")
    return torch.from_numpy(_alpha(image))[None]


def _alpha(image: PillowImage.Image) -> NDArray[np.uint8]:
    return np.array(image.convert("RGBA").getchannel("A"))


def _is_palette_of_alpha(image: PillowImage.Image) -> bool:
    """Return whether a palette file is a compressed RGBA mask: its visible pixels have one color, or are translucent.

    In other palette files, transparency marks one of several label ids.
    """
    if image.mode != "P" or not image.has_transparency_data:
        return False
    pixels = np.array(image.convert("RGBA"))
    alpha = pixels[..., 3]
    visible = pixels[alpha > 0]
    return bool(((alpha > 0) & (alpha < 255)).any() or (visible == visible[:1]).all())


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


def _scaled(values: NDArray[Any], mode: str) -> NDArray[np.float32]:
    """Scale gray values to float32 in [0, 1]; white is 1, 255 or 65535, depending on the largest value and the mode."""
    peak = float(values.max(initial=0))
    white = 1 if peak <= 1 else 255 if peak <= 255 and not mode.startswith("I;16") else 65535
    scaled = values.astype(np.float32)
    scaled /= white
    return np.clip(scaled, 0, 1, out=scaled)


def _gray(image: PillowImage.Image, path: str | Path, ignored: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the file's gray values, (H, W), or those of its palette's colors, which must be gray; 0 where ignored."""
    if is_deep(image) or image.mode in ("1", "L", "LA"):
        gray = np.array(image if is_deep(image) or image.mode == "L" else image.convert("L"))
        return gray if ignored is None else np.where(ignored, np.zeros((), gray.dtype), gray)
    pixels = rgb_pixels(image)
    if ignored is not None:
        pixels[ignored] = 0
    if image.mode not in ("P", "PA"):
        if colors := colors_of(pixels):
            raise ValueError(
                f"{path}: the mask has colors, such as {_listed(colors)}; wanted black and white, or gray up to white"
            )
        return np.array(PillowImage.fromarray(pixels).convert("L"))
    if (pixels != pixels[..., :1]).any():
        raise ValueError(
            f"{path}: the mask's palette has colors that are not gray, so it seems to hold label ids; wanted black and "
            f"white, or gray up to white; got such as {_listed(colors_of(pixels, least=0))}"
        )
    return np.ascontiguousarray(pixels[..., 0])


def _listed(colors: Sequence[tuple[int, ...]]) -> str:
    return " and ".join("({}, {}, {}) #{:02x}{:02x}{:02x}".format(*color, *color) for color in colors)


def _has_value(image: PillowImage.Image, path: str | Path, values: Sequence[Value]) -> NDArray[np.bool_]:
    """Mark the pixels (H, W) that have one of some label ids or colors."""
    colors = [value for value in values if isinstance(value, str)]
    ids = [value for value in values if not isinstance(value, str)]
    inside = np.isin(_label_ids(image, path), ids) if ids else np.zeros((image.height, image.width), bool)
    if colors:
        pixels = rgb_pixels(image).astype(np.int16)
        for color in colors:
            inside |= (np.abs(pixels - ImageColor.getrgb(color)[:3]) <= COLOR_STEP).all(axis=2)
    return inside


def _label_ids(image: PillowImage.Image, path: str | Path) -> NDArray[Any]:
    """Return the numbers that the file stores, (H, W)."""
    if image.mode in ("LA", "PA"):
        image = image.getchannel(0)
    if is_deep(image) or image.mode in ("1", "L", "P"):
        return np.array(image)
    pixels = rgb_pixels(image)
    if (pixels != pixels[..., :1]).any():
        raise ValueError(
            f"{path}: the mask holds colors; wanted one label id a pixel, or colors for foreground=; "
            f"got such as {_listed(colors_of(pixels, least=0))}"
        )
    return pixels[..., 0]
