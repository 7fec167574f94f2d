"""Photographs and masks from files, in whatever mode people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError
from torch import Tensor

LABEL_IDS_BELOW = 32


def read_image(path: str | Path) -> Tensor:
    """Read a photograph: (3, H, W) float32, RGB in [0, 1], its EXIF orientation applied.

    Any mode that Pillow reads, 8 or 16 bit; an alpha channel is dropped.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable image; the message names the file.
    """
    return image_tensor(_open(path))


def image_tensor(image: PillowImage.Image) -> Tensor:
    """Turn a Pillow image into (3, H, W) float32, RGB in [0, 1]."""
    if image.mode.startswith(("I", "F")):
        grey = _sixteen_bit(image)
        return torch.from_numpy(grey).expand(3, -1, -1).contiguous()
    pixels = np.array(image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255  # (3, H, W)


def read_mask(path: str | Path) -> Tensor:
    """Read a mask: (1, H, W) float32 in [0, 1], 1 being foreground.

    From grey, 1-bit, palette or colour files; where there is an alpha channel with something in it, from that.
    A mask of zeros and ones is taken for black and white.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a readable image, or one whose largest value (2 to 31) says that it holds label ids.
    """
    image = _open(path)
    if image.mode.startswith(("I", "F")):
        return torch.from_numpy(_sixteen_bit(image))[None]
    if image.mode in ("LA", "RGBA", "PA") and image.getchannel("A").getextrema() != (255, 255):
        image = image.getchannel("A")
    grey = np.array(image.convert("L"))
    peak = int(grey.max(initial=0))
    if 1 < peak < LABEL_IDS_BELOW:
        raise ValueError(
            f"{path}: the mask's largest value is {peak}, so it seems to hold label ids; "
            "wanted black and white (0 and 255, or 0 and 1), or grey up to white"
        )
    return torch.from_numpy(grey).float()[None] / (1 if peak == 1 else 255)


def _open(path: str | Path) -> PillowImage.Image:
    try:
        with PillowImage.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise FileNotFoundError(f"no image at {path}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; wanted an image file") from None
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not an image that can be read") from error
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def _sixteen_bit(image: PillowImage.Image) -> NDArray[np.float32]:
    """Grey values of Pillow's modes I, I;16 and F as (H, W) in [0, 1]."""
    values = np.array(image).astype(np.float32)
    peak = float(values.max(initial=0))
    scale = 1 if peak <= 1 else 255 if peak <= 255 and image.mode != "I;16" else 65535
    return np.clip(values / scale, 0, 1)
