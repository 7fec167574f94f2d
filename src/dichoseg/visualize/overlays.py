"""Drawing into pictures: errors, the border of a mask, the band around its edge."""

from __future__ import annotations

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import Image, Mask
from ..masks import edge_band
from .sheet import Color, Picture, pixelate, thumbnail

EDGE: Color = (1, 0.1, 0.6)  # rare in photographs
WHITE: Color = (1, 1, 1)


def error_map(prediction: Picture, mask: Picture) -> Picture:
    """Color the errors of a prediction: false foreground is red, missed foreground is blue.

    Correct foreground is white, correct background black; soft values give the shades between.

    Args:
        prediction: Predicted map (H, W) in [0, 1].
        mask: Mask (H, W) in [0, 1].

    Returns:
        (H, W, 3) in [0, 1].
    """
    if prediction.ndim != 2 or prediction.shape != mask.shape:
        raise ValueError(f"prediction and mask must be (H, W), of one size; got {prediction.shape} and {mask.shape}")
    return np.stack([prediction, np.minimum(prediction, mask), mask], axis=-1)


def outlined(image: Picture, mask: Picture) -> Picture:
    """Dim an image outside of its mask and draw the mask's border into it.

    Args:
        image: Image (H, W, 3) in [0, 1].
        mask: Mask (H, W) in [0, 1].

    Returns:
        (H, W, 3) in [0, 1].
    """
    if image.shape != (*mask.shape, 3):
        raise ValueError(f"image must be (H, W, 3) and mask (H, W), of one size; got {image.shape} and {mask.shape}")
    inside = (mask > 0.5).astype(np.uint8)
    side = 2 * round(max(mask.shape) / 400) + 3
    border = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((side, side), np.uint8))[..., None] > 0
    dimmed = image * (0.3 + 0.7 * mask[..., None])
    return np.where(border, np.array([1, 0.2, 0.1], np.float32), dimmed).astype(np.float32)


def pixels(batch: Tensor) -> Picture:
    """Convert a batch of one image (1, 3, H, W) or mask (1, 1, H, W) to a picture (H, W, 3) or (H, W)."""
    if batch.shape[1] == 1:
        return np.asarray(batch[0, 0].float().numpy())
    return np.asarray(batch[0].float().permute(1, 2, 0).numpy())


def edge_pictures(image: Image, mask: Mask, *, side: int, enlarged: int = 4) -> tuple[Picture, Picture]:
    """Show the band around a mask's edge, `edge_band(mask)`: over the whole image, and enlarged.

    The first tile is the image, dimmed outside of the mask. A pixel of the tile is painted if any image pixel under it
    lies in the band, so that thin bands of large images stay visible. A white frame marks the part that the second tile
    enlarges: at the densest part of the band, or the middle of an image without a band.

    Args:
        image: Image (1, 3, H, W) in [0, 1].
        mask: Mask (1, 1, H, W) in [0, 1].
        side: Longer side of the tiles, in pixels.
        enlarged: Factor by which the second tile is enlarged.
    """
    band = edge_band(mask)
    rows, columns = _densest(band, side // enlarged)
    overview = thumbnail(pixels(image * (0.35 + 0.65 * mask)), side=side)
    height, width = overview.shape[:2]
    overview = paint(overview, pixels(F.adaptive_max_pool2d(band, (height, width))) > 0, EDGE)
    scale = (width - 1) / mask.shape[-1], (height - 1) / mask.shape[-2]  # from the mask's pixels to the tile's
    first, last = (
        (round(scale[0] * x), round(scale[1] * y)) for x, y in ((columns.start, rows.start), (columns.stop, rows.stop))
    )
    cv2.rectangle(overview, first, last, WHITE, 1)
    closeup = paint(pixels(image[..., rows, columns]), pixels(band[..., rows, columns]) > 0, EDGE, strength=0.5)
    return overview, pixelate(closeup, side=side)


def _densest(band: Mask, side: int) -> tuple[slice, slice]:
    """Return rows and columns of the square that holds most of a band, to within four pixels."""
    height, width = (min(side, length) for length in band.shape[-2:])
    top, left = (band.shape[-2] - height) // 2, (band.shape[-1] - width) // 2
    if band.any():
        density = F.avg_pool2d(band, (height, width), stride=4)[0, 0]
        row, column = divmod(int(density.argmax()), density.shape[1])
        top, left = 4 * row, 4 * column
    return slice(top, top + height), slice(left, left + width)


def draw_outline(image: Image, mask: Mask, *, side: int) -> Picture:
    """Draw the mask's outline into an image, as a tile.

    Args:
        image: Image (1, 3, H, W) in [0, 1].
        mask: Mask (1, 1, H, W) in [0, 1].
        side: Longer side of the tile, in pixels.
    """
    inside = (thumbnail(pixels(mask), side=side)[..., 0] > 0.5).astype(np.uint8)
    outline = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
    return paint(thumbnail(pixels(image), side=side), outline, EDGE)


def paint(picture: Picture, where: NDArray[np.bool_], color: Color, *, strength: float = 1.0) -> Picture:
    """Blend a color into the pixels `where` of a picture (H, W, 3)."""
    opacity = np.float32(strength) * where[..., None].astype(np.float32)
    return np.asarray(picture + opacity * (np.array(color, np.float32) - picture), np.float32)
