"""Evidence that a file of a mask is something else: colors, label ids, an alpha channel that contradicts, a trimap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LABEL_IDS_BELOW = 32
"""Label ids are smaller, apart from a value for ignored pixels."""
MOST_IDS = 24
"""Largest number of values in a mask of label ids."""
ID_AREA = 0.001
"""Smallest fraction of the image that label ids cover, without the ignored value."""
FLAT = 0.8
"""Fraction of an object's neighboring pixels that are equal, from which on ids cover areas."""
COLOR_STEP = 16
"""Difference between channels above which a pixel has a color; the compression of JPEG makes smaller ones."""
COLOR_AREA = 0.01, 0.1
"""Fraction of the image, and of its pixels that are not black, above which colors are meant."""
HALF = 0.4
"""Fraction of the grays that are one half in a trimap; of soft masks it is below 0.2."""
EXTREME = 32
"""Largest distance from black or white of the pixels that make a mask."""


def colors_of(pixels: NDArray[np.uint8], *, least: int = COLOR_STEP) -> list[tuple[int, ...]]:
    """Return the most frequent colors of a picture (H, W, 3), at most three; none if it is gray.

    Args:
        pixels: RGB picture.
        least: Difference between channels above which a pixel has a color. With 0, a single such pixel is enough.
    """
    low, high = pixels.min(axis=2), pixels.max(axis=2)
    colored = (high - low) > least
    count = int(colored.sum())
    visible = int((high > COLOR_STEP).sum())
    if least and count <= COLOR_AREA[0] * colored.size and count <= COLOR_AREA[1] * visible:
        return []
    values, counts = np.unique(pixels[colored], axis=0, return_counts=True)
    return [tuple(map(int, values[index])) for index in np.argsort(-counts)[:3]]


def label_ids_of(gray: NDArray[Any], *, is_deep: bool) -> list[float]:
    """Return the values of a mask (H, W) that seem to be label ids; none if it seems to be black and white, or gray.

    A mask holds them if its largest value is 2 to 31; or if such small ones and one or more large values, such as 255
    for ignored pixels, are the only values. Without a 0, the small ones must differ by 4, or two of them must cover
    areas, since black may be 1. A mask of more than 8 bits also does if it has areas of few values that end at none of
    the usual whites. So does one of integers below 0, such as -1 for ignored pixels. Lossy compression makes small
    values by itself; see `is_lossy`.
    """
    if gray.dtype.kind == "i" and gray.min(initial=0) < 0:
        return [float(value) for value in np.unique(gray)]
    peak = float(gray.max(initial=0))
    if peak <= 1 or not np.isfinite(peak):
        return []
    if peak < LABEL_IDS_BELOW:
        return [float(value) for value in np.unique(gray)]
    values, counts = np.unique(gray, return_counts=True)
    if not 2 <= len(values) <= MOST_IDS * (10 if is_deep else 1):
        return []
    is_low = (values > 0) & (values < LABEL_IDS_BELOW) & (values == np.round(values))
    low = int(counts[is_low].sum())
    between = int(counts[(values >= LABEL_IDS_BELOW) & (values < peak)].sum())
    are_ids = values[0] == 0 or (is_low.any() and float(np.ptp(values[is_low])) >= 4)
    are_ids = are_ids or sum(_covers_area(gray == value) for value in values[is_low]) >= 2
    if len(values) <= MOST_IDS and are_ids and low >= ID_AREA * gray.size and between <= 0.01 * low:
        return [float(value) for value in values]
    if is_deep and peak != 255 and peak < 0.9 * 65535 and gray.dtype.kind != "f":
        inside = (gray[:, 1:] > 0) & (gray[:, :-1] > 0)
        is_flat = (gray[:, 1:] == gray[:, :-1])[inside].mean() >= FLAT if inside.any() else False
        return [float(value) for value in values] if is_flat else []
    return []


def _covers_area(inside: NDArray[np.bool_]) -> bool:
    """Return whether pixels (H, W) are many, and mostly next to one another."""
    count = inside.sum()
    return bool(count >= ID_AREA * inside.size and (inside[:, 1:] & inside[:, :-1]).sum() >= FLAT * count)


def alpha_is_mask(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8], path: str | Path) -> bool:
    """Return whether the alpha channel (H, W) of a file is its mask, and not its colors (H, W, 3).

    Colors that are black and white are the mask if the alpha channel is nearly constant. If both look like a mask and
    differ, a ValueError says so.
    """
    gray = pixels[..., 1].astype(np.int16)
    is_black, is_white = gray < EXTREME, gray > 255 - EXTREME
    looks_like_mask = (
        not colors_of(pixels)
        and (is_black | is_white).mean() >= 0.95
        and min(is_black.mean(), is_white.mean()) >= ID_AREA
    )
    if not looks_like_mask:
        return True
    _, counts = np.unique(alpha, return_counts=True)
    if counts.max() >= 0.99 * alpha.size or int(alpha.max()) - int(alpha.min()) < EXTREME:
        return False
    if np.abs(gray - alpha).mean() < 0.05 * 255:
        return True
    raise ValueError(
        f"{path}: its colors and its alpha channel are different masks, of mean {gray.mean() / 255:.2f} and "
        f"{alpha.mean() / 255:.2f}; wanted a file with one of them"
    )


def is_trimap(mask: NDArray[np.float32]) -> bool:
    """Return whether a mask (H, W) in [0, 1] has the three levels of a trimap: black, half, in areas, and white.

    The mask has only these levels, or half is the most frequent gray and compression or resizing cause the others.
    """
    half = np.abs(mask - 0.5) < 0.06
    areas = half[:-1, :-1] & half[1:, :-1] & half[:-1, 1:] & half[1:, 1:]  # not the single pixels of smooth edges
    if areas.sum() <= 0.01 * (mask > 0.1).sum() or not (mask > 0.95).any():
        return False
    gray = (mask > 0.1) & (mask < 0.9)
    return bool((half | (mask < 0.02) | (mask > 0.98)).mean() >= 0.998 or half.sum() >= HALF * gray.sum())
