"""Photographs and masks from files, in whatever mode people have them."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, UnidentifiedImageError
from PIL import Image as PillowImage
from torch import Tensor

LABEL_IDS_BELOW = 32

TURNS = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}
"""What makes an image of an EXIF orientation upright. `ImageOps.exif_transpose` rewrites the EXIF data too, and so
refuses whole pixels beside broken ones."""
SIDEWAYS = (5, 6, 7, 8)


def read_image(path: str | Path) -> Tensor:
    """Read a photograph: (3, H, W) float32, RGB in [0, 1], its EXIF orientation applied.

    Any mode that Pillow reads but CIE LAB, 8 or 16 bit; an alpha channel is dropped, and the colours under it are those
    that the file stores. Of an animation, its first picture. What a file has wrong beside its pixels, such as broken
    EXIF data, is passed over in silence.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable image: of no known format, broken, cut off, or of more pixels than twice
            `PIL.Image.MAX_IMAGE_PIXELS`, by default 179 million; the message names the file.
    """
    return image_tensor(open_image(path))


def read_mask(path: str | Path, *, foreground: Sequence[int] | None = None) -> Tensor:
    """Read a mask: (1, H, W) float32 in [0, 1], 1 being foreground.

    From grey, 1-bit, palette or colour files, 8 or 16 bit, their EXIF orientation applied; where there is an alpha
    channel that is not the same all over, from that. A mask of zeros and ones is taken for black and white.

    Args:
        path: The file.
        foreground: For masks of label ids: the ids that are foreground; all else is background. The id of a pixel
            is the number that the file stores, which in a palette file is the index of the colour.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable image, as for `read_image`; or, without `foreground`, one that seems to hold label
            ids, because its largest value is 2 to 31 or because its palette has colours; or, with it, one that holds
            colours. The message names the file.
    """
    return to_unit(read_mask_pixels(path, foreground=foreground))


def read_prediction(path: str | Path) -> tuple[NDArray[np.uint8] | NDArray[np.float32], str | None]:
    """Read a map that a model wrote, for the metrics: (H, W).

    Eight-bit files give their levels as they are; deeper ones float in [0, 1], white being 1, 255 or 65535 by the
    largest value. A colour file gives its luminance, one with an alpha channel that is not the same all over (a
    cut-out) that channel.

    Returns:
        The map, and what is unusual about the file, `"predictions of more than 8 bits"`, `"predictions with an alpha
        channel"`, `"predictions in colour"`, or None.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable image, or one with values that are not finite; the message names the file.
    """
    image = open_image(path)
    if is_deep(image):
        return _scaled(np.array(image), image.mode), "predictions of more than 8 bits"
    if image.has_transparency_data:
        alpha = np.array(image.convert("RGBA").getchannel("A"))
        if alpha.min() != alpha.max():
            return alpha, "predictions with an alpha channel"
    pixels = colours(image)
    if (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0]), None
    return np.array(PillowImage.fromarray(pixels).convert("L")), "predictions in colour"


def read_mask_pixels(path: str | Path, *, foreground: Sequence[int] | None) -> Tensor:
    """Read a mask as `read_mask` does, without taking the levels of 8 bits, (1, H, W) uint8, to [0, 1]."""
    image = open_image(path)
    try:
        return mask_pixels(image, path, foreground=foreground)
    except ValueError as error:
        advice = "; foreground= says which ids are foreground" if foreground is None else ""
        raise ValueError(f"{error}{advice}") from None


def to_unit(pixels: Tensor) -> Tensor:
    """Levels of 8 bits as float32 in [0, 1]; what is floating point lies there already and stays."""
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def image_tensor(image: PillowImage.Image) -> Tensor:
    """Turn a Pillow image into (3, H, W) float32, RGB in [0, 1]."""
    return to_unit(image_pixels(image))


def image_pixels(image: PillowImage.Image) -> Tensor:
    """Turn a Pillow image into (3, H, W), RGB: levels of 8 bits, uint8, or of a deeper file float32 in [0, 1]."""
    if is_deep(image):
        return torch.from_numpy(_scaled(np.array(image), image.mode)).expand(3, -1, -1).contiguous()
    return torch.from_numpy(colours(image)).permute(2, 0, 1)  # (3, H, W)


def eight_bits(image: PillowImage.Image) -> NDArray[np.uint8]:
    """Turn a Pillow image into RGB of 8 bits, (H, W, 3)."""
    if is_deep(image):
        return (image_tensor(image).permute(1, 2, 0) * 255).round().byte().contiguous().numpy()
    return colours(image)


def mask_tensor(image: PillowImage.Image, path: str | Path, *, foreground: Sequence[int] | None) -> Tensor:
    """Turn a Pillow image into a mask, (1, H, W) float32 in [0, 1]; a ValueError says why it is none."""
    return to_unit(mask_pixels(image, path, foreground=foreground))


def mask_pixels(image: PillowImage.Image, path: str | Path, *, foreground: Sequence[int] | None) -> Tensor:
    """Turn a Pillow image into a mask, (1, H, W): levels of 8 bits, uint8, or of a deeper file float32 in [0, 1]."""
    if foreground is not None:
        return torch.from_numpy(np.isin(_label_ids(image, path), list(foreground)))[None].byte().mul_(255)
    if image.mode in ("LA", "RGBA", "PA"):
        alpha = image.getchannel("A")
        low, high = alpha.getextrema()
        image = alpha if low != high else image
    grey = _grey(image, path)
    peak = float(grey.max(initial=0))
    if 1 < peak < LABEL_IDS_BELOW:
        raise ValueError(
            f"{path}: the mask's largest value is {peak:g}, so it seems to hold label ids "
            f"({', '.join(f'{value:g}' for value in np.unique(grey))}); "
            "wanted black and white (0 and 255, or 0 and 1), or grey up to white"
        )
    if is_deep(image):
        return torch.from_numpy(_scaled(grey, image.mode))[None]
    return torch.from_numpy(grey if peak > 1 else grey * np.uint8(255))[None]


def alpha_tensor(image: PillowImage.Image, path: str | Path) -> Tensor:
    """Turn the alpha channel of a Pillow image into a mask, (1, H, W) float32; a ValueError where there is none."""
    return to_unit(alpha_pixels(image, path))


def alpha_pixels(image: PillowImage.Image, path: str | Path) -> Tensor:
    """Turn the alpha channel of a Pillow image into a mask, (1, H, W) uint8; a ValueError where there is none."""
    if is_deep(image) or not image.has_transparency_data:
        raise ValueError(f"{path} has no alpha channel; wanted a cut-out (RGBA, LA or a palette), got {image.mode}")
    return torch.from_numpy(np.array(image.convert("RGBA").getchannel("A")))[None]


def colours(image: PillowImage.Image) -> NDArray[np.uint8]:
    """RGB of an 8-bit Pillow image as (H, W, 3)."""
    if "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns where it drops the transparency of a palette itself
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def open_image(source: str | Path | bytes) -> PillowImage.Image:
    """Read a file, or its bytes, and apply its EXIF orientation, which turns its `dpi` too.

    A ValueError or FileNotFoundError names the file.
    """
    with opened(source) as image:
        return upright(image)


def open_reduced(path: str | Path, *, at_least: int) -> tuple[PillowImage.Image, tuple[int, int]]:
    """Read a file as `open_image` does, but a JPEG in a half, a quarter or an eighth of its size where that will do.

    The pixels are then near to averages of the file's, which the decoder finds faster than the pixels themselves. Only
    a fraction that divides both sides is taken, so that nothing moves against a mask.

    Args:
        path: The file.
        at_least: Pixels that the shorter side must keep.

    Returns:
        The image, and the width and height that it has in the file, upright.
    """
    with opened(path) as image:
        whole = image.size
        fraction = math.gcd(*whole, 8)
        while fraction > 1 and min(whole) < at_least * fraction:
            fraction //= 2
        if fraction > 1:
            image.draft(None, (whole[0] // fraction, whole[1] // fraction))
        if image.size == whole:  # no fraction was wanted, or the decoder has none
            fraction = 1
        picture = upright(image)
        return picture, (fraction * picture.width, fraction * picture.height)


def upright(image: PillowImage.Image) -> PillowImage.Image:
    """Decode an image and turn it, with its `dpi`, as its EXIF orientation says; whatever Pillow stumbles over."""
    tags: Any = getattr(image, "tag_v2", {})  # those of a TIFF file, which Pillow turns itself when it is loaded
    turned = tags.get(ExifTags.Base.Orientation)
    load(image)
    orientation = _orientation(image)
    result = image.transpose(TURNS[orientation]) if orientation in TURNS else image.copy()
    if "dpi" in result.info and (turned in SIDEWAYS or orientation in SIDEWAYS):
        result.info["dpi"] = result.info["dpi"][::-1]
    return result


def _orientation(image: PillowImage.Image) -> int:
    """The EXIF orientation of a decoded image; 1, upright, where the EXIF data are broken."""
    try:
        return cast(int, image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever Pillow stumbles over; the pixels are whole
        return 1


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[PillowImage.Image]:
    """A file of which Pillow has seen the head; whatever goes wrong inside becomes one error that names the file."""
    path = f"the image of {len(source)} bytes" if isinstance(source, bytes) else source
    try:
        with (
            _pillow_is_silent(),
            PillowImage.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image,
        ):
            yield image
    except FileNotFoundError:
        raise FileNotFoundError(f"no image at {path}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; wanted an image file") from None
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not an image that can be read") from error
    except PillowImage.DecompressionBombError as error:
        raise ValueError(
            f"{path} cannot be read as an image: {str(error).rstrip('.')}; if it is meant to be so large, set "
            "PIL.Image.MAX_IMAGE_PIXELS, of which twice are allowed"
        ) from error
    except Exception as error:  # of a broken file, Pillow's readers raise whatever they stumble over
        raise ValueError(f"{path} cannot be read as an image: {str(error) or type(error).__name__}") from error


def load(image: PillowImage.Image) -> None:
    """Decode an opened file; to be called within `opened`."""
    image.load()
    if 0 in image.size:
        raise ValueError(f"it is {image.width}x{image.height} pixels")
    if image.mode == "LAB":
        raise ValueError("its colours are CIE LAB; wanted grey or RGB")
    if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
        raise ValueError("it holds numbers that are not finite")


@contextmanager
def _pillow_is_silent() -> Iterator[None]:
    """Ignore what Pillow warns of: odd metadata, and sizes between its limit and the double, where it refuses.

    `warnings.catch_warnings` puts a list of filters back that may be another thread's; this takes its own filter away.
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
    """Whether a pixel is one number of more than 8 bits: Pillow's modes I, I;16 and F."""
    return image.mode.startswith(("I", "F"))


def _scaled(values: NDArray[Any], mode: str) -> NDArray[np.float32]:
    """Grey values as float32 in [0, 1]; white is 1, 255 or 65535, by the largest value and Pillow's mode."""
    peak = float(values.max(initial=0))
    white = 1 if peak <= 1 else 255 if peak <= 255 and not mode.startswith("I;16") else 65535
    scaled = values.astype(np.float32)
    scaled /= white
    return np.clip(scaled, 0, 1, out=scaled)


def _grey(image: PillowImage.Image, path: str | Path) -> NDArray[Any]:
    """Grey values as the file stores them, (H, W); those of a palette's colours, which must be grey."""
    if is_deep(image):
        return np.array(image)
    if image.mode not in ("P", "PA"):
        return np.array(image if image.mode == "L" else image.convert("L"))
    pixels = colours(image)
    if (pixels != pixels[..., :1]).any():
        raise ValueError(
            f"{path}: the mask's palette has colours that are not grey, so it seems to hold label ids; "
            "wanted black and white, or grey up to white"
        )
    return np.ascontiguousarray(pixels[..., 0])


def _label_ids(image: PillowImage.Image, path: str | Path) -> NDArray[Any]:
    """The numbers that the file stores, (H, W)."""
    if image.mode in ("LA", "PA"):
        image = image.getchannel(0)
    if is_deep(image) or image.mode in ("1", "L", "P"):
        return np.array(image)
    pixels = colours(image)
    if (pixels != pixels[..., :1]).any():
        raise ValueError(f"{path}: the mask holds colours; wanted one label id a pixel, as foreground= needs")
    return pixels[..., 0]
