"""Thinning of a mask to lines one pixel wide."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .binary import Binary
from .pair import foreground_of

# Neighborhoods whose center is removed, as sums of 1, 2, 4, ..., 128 for the neighbors NW, N, NE, E, SE, S, SW, W:
# in the first pass of a round, in the second, in both. Published HCE values use this table; 25 of its 256 entries
# differ from the textbook's.
FIRST = (3, 6, 11, 12, 14, 131, 134, 143, 159, 161, 194, 198, 207, 227, 231, 243)
SECOND = (24, 26, 56, 62, 63, 96, 104, 108, 126, 176, 192, 224, 248, 249, 252)
BOTH = (7, 10, 15, 28, 30, 31, 40, 60, 112, 120, 124, 130, 135, 160, 193, 195, 199, 225, 240, 241)


def skeleton(mask: NDArray[Any]) -> Binary:
    """Thin the foreground to lines one pixel wide in its middle: (H, W), bool.

    Two passes alternate until nothing changes; each removes all pixels at once whose neighborhood is in its table. The
    outside of the image is background. The skeleton of a mirrored mask is not the mirrored skeleton.

    Source: Zhang and Suen (CACM 1984). Differs: the table is the one that makes `hce` comparable with papers.

    Args:
        mask: (H, W), uint8 (foreground above 128) or bool.
    """
    foreground = foreground_of(mask)
    thinned = np.zeros_like(foreground)
    x, y, width, height = cv2.boundingRect(foreground.view(np.uint8))
    box = slice(y, y + height), slice(x, x + width)
    thinned[box] = _thinned(foreground[box])
    return thinned


def _thinned(foreground: Binary) -> Binary:
    """Compute the skeleton, visiting only pixels whose neighborhood has just changed.

    One lookup decides for both passes: a pixel is removed now, or in the next pass if its neighborhood does not change
    before, or it stays until a neighbor is removed. Pixels are indices into the flattened image, which has a border of
    background.
    """
    image = np.pad(foreground.view(np.uint8), 1)
    width = image.shape[1]
    steps = np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])[:, None]
    tables = _tables()
    triples = _triples(image).ravel()
    changed = np.flatnonzero(image - cv2.erode(image, np.ones((3, 3), np.uint8)))
    waiting = np.empty(0, np.intp)
    alive = image.ravel().view(np.bool_)
    same, place = np.zeros(image.size, np.bool_), np.empty(image.size, np.int32)
    while changed.size or waiting.size:
        code = triples.take(changed + width).astype(np.uint16) << 6
        code |= triples.take(changed) << 3
        code |= triples.take(changed - width)
        now, later = tables[0].take(code), tables[1].take(code)
        gone = np.concatenate((waiting, changed.compress(now)))
        waiting = changed.compress(later & ~now)
        alive[gone] = False
        triples[gone] &= 0b101
        triples[gone - 1] &= 0b011
        triples[gone + 1] &= 0b110
        near = (gone + steps).ravel()
        near = near.compress(alive.take(near))
        order = np.arange(near.size, dtype=np.int32)
        place[near] = order
        changed = near.compress(place.take(near) == order)  # each pixel once
        same[waiting] = True
        same[changed] = False
        waiting = waiting.compress(same.take(waiting))
        tables = tables[::-1]
    return alive.reshape(image.shape)[1:-1, 1:-1]


def _triples(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Encode each pixel (2) with its left (1) and right (4) neighbors."""
    triples = np.left_shift(image, 1, dtype=np.uint8)
    triples[:, 1:] |= image[:, :-1]
    triples[:, :-1] |= image[:, 1:] << 2
    return triples


def _tables() -> Binary:
    """Mark the pixels removed in each pass: (2, 512), by triple above + 8 * the pixel's triple + 64 * triple below."""
    tables = np.zeros((2, 512), np.bool_)
    bits = [1 << bit for bit in (0, 1, 2, 5, 8, 7, 6, 3)]  # neighbors from NW on; bit 4 is the pixel itself
    for table, codes in zip(tables, (FIRST + BOTH, SECOND + BOTH), strict=True):
        for code in codes:
            table[(1 << 4) + sum(bit for place, bit in enumerate(bits) if code >> place & 1)] = True
    return tables
