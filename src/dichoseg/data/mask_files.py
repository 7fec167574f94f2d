"""Read masks and predictions: files of any mode, label ids, colors and alpha channels."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageColor
from torch import Tensor

from .decoding import alpha_of, is_deep, open_image, rgb_pixels, scaled, to_unit
from .evidence import COLOR_STEP, alpha_is_mask, colors_of, label_ids_of
from .formats import is_lossy

Value: TypeAlias = int | str
"""Label id, or a color as `PIL.ImageColor` reads it."""


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
    largest value. A color file gives its luminance. A file with an alpha channel that is not constant, or zero, such as
    a cut-out, gives that channel.

    Returns:
        The map, and the kind of an unusual file or None. The kinds are keys in `scores.json`.
    """
    image = open_image(path)
    if is_deep(image):
        return scaled(np.array(image), image.mode), "predictions of more than 8 bits"
    if image.has_transparency_data:
        alpha = alpha_of(image)
        if alpha.min() != alpha.max() or not alpha.any():
            return alpha, "predictions with an alpha channel"
    pixels = rgb_pixels(image)
    if (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0]), None
    return np.array(PillowImage.fromarray(pixels).convert("L")), "predictions in color"


def read_mask_pixels(
    path: str | Path, *, foreground: Sequence[Value] | None = None, ignore: Sequence[Value] = ()
) -> tuple[Tensor, Tensor | None]:
    """Read a mask as `read_mask` does, but keep 8 bits as (1, H, W) uint8; with its weight, if values are ignored."""
    return mask_and_weight(open_image(path), path, foreground=foreground, ignore=ignore)


def mask_and_weight(
    image: PillowImage.Image, path: str | Path, *, foreground: Sequence[Value] | None, ignore: Sequence[Value] = ()
) -> tuple[Tensor, Tensor | None]:
    """Convert a Pillow image to a mask and its weight, as `read_mask_pixels` returns them."""
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


def mask_pixels(
    image: PillowImage.Image, path: str | Path, *, foreground: Sequence[Value] | None, ignore: Sequence[Value] = ()
) -> Tensor:
    """Convert a Pillow image to a mask (1, H, W): uint8, or float32 in [0, 1] if it has more than 8 bits."""
    ignored = _has_value(image, path, ignore) if ignore else None
    if foreground is not None:
        inside = _has_value(image, path, foreground)
        return torch.from_numpy(inside if ignored is None else inside & ~ignored)[None].byte().mul_(255)
    alpha = _alpha_mask(image, path)
    if alpha is not None:
        image = PillowImage.fromarray(alpha)
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
        return torch.from_numpy(scaled(gray, mode))[None]
    return torch.from_numpy(gray if peak > 1 or not is_exact else gray * np.uint8(255))[None]


def weight_pixels(image: PillowImage.Image, path: str | Path, *, ignore: Sequence[Value]) -> Tensor:
    """Return the weights of a mask's pixels, (1, H, W) uint8: 0 for values in `ignore`, else 1."""
    return torch.from_numpy(~_has_value(image, path, ignore))[None].byte()


def alpha_pixels(image: PillowImage.Image, path: str | Path) -> Tensor:
    """Convert the alpha channel of a Pillow image to a mask (1, H, W) of uint8; raise a ValueError without one."""
    if is_deep(image) or not image.has_transparency_data:
        raise ValueError(f"{path} has no alpha channel; wanted a cut-out (RGBA, LA or a palette), got {image.mode}")
    return torch.from_numpy(alpha_of(image))[None]


def _alpha_mask(image: PillowImage.Image, path: str | Path) -> NDArray[np.uint8] | None:
    """Return the alpha channel, (H, W), if it is the mask.

    A palette file is a compressed RGBA mask if its visible pixels have one color, or are translucent. In other palette
    files, transparency marks one of several label ids.
    """
    if image.mode not in ("LA", "PA", "RGBA") and not (image.mode == "P" and image.has_transparency_data):
        return None
    pixels = np.array(image.convert("RGBA"))
    alpha = np.ascontiguousarray(pixels[..., 3])
    if alpha.min() == alpha.max():
        return None
    if image.mode == "P" and not ((alpha > 0) & (alpha < 255)).any():
        visible = pixels[alpha > 0]
        if (visible != visible[:1]).any():
            return None
    return alpha if alpha_is_mask(pixels[..., :3], alpha, path) else None


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
