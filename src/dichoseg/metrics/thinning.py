"""Thinning of a mask to lines one pixel wide."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .binary import Binary, foreground_of

# Neighbourhoods whose middle pixel goes, as sums of 1, 2, 4, ..., 128 for the neighbours NW, N, NE, E, SE, S, SW, W:
# in the first pass of a round, in the second, in both. This is the table behind published HCE values; 25 of its 256
# entries differ from the textbook's.
FIRST = (3, 6, 11, 12, 14, 131, 134, 143, 159, 161, 194, 198, 207, 227, 231, 243)
SECOND = (24, 26, 56, 62, 63, 96, 104, 108, 126, 176, 192, 224, 248, 249, 252)
BOTH = (7, 10, 15, 28, 30, 31, 40, 60, 112, 120, 124, 130, 135, 160, 193, 195, 199, 225, 240, 241)


def skeleton(mask: NDArray[Any]) -> Binary:
    """Lines one pixel wide in the middle of the foreground: (H, W), bool.

    Zhang and Suen's thinning (CACM 1984) with the table that makes `hce` comparable with papers. Two passes take
    turns; each removes all pixels whose neighbourhood is in its table at once, until none is. Outside of the image
    is background. The skeleton of a mirrored mask is not the mirrored skeleton.

    Args:
        mask: (H, W), uint8 (foreground above 128) or bool.

    Raises:
        ValueError: A shape that is not (H, W), an empty array.
        TypeError: A mask that is neither uint8 nor bool.
    """
    foreground = foreground_of(mask)
    thinned = np.zeros_like(foreground)
    x, y, width, height = cv2.boundingRect(foreground.view(np.uint8))
    box = slice(y, y + height), slice(x, x + width)
    thinned[box] = _thinned(foreground[box])
    return thinned


def _thinned(foreground: Binary) -> Binary:
    """The skeleton, found by looking only at pixels whose neighbourhood has just changed.

    One look tells what both passes make of a pixel: it goes now, or it goes in the next pass if its neighbourhood is
    the same then, or it stays until a neighbour goes. Pixels are indices into the flat image, which has a border of
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
    """Each pixel (2) with its left (1) and right (4) neighbours."""
    triples = np.left_shift(image, 1, dtype=np.uint8)
    triples[:, 1:] |= image[:, :-1]
    triples[:, :-1] |= image[:, 1:] << 2
    return triples


def _tables() -> Binary:
    """(2, 512): what goes in either pass, by the triple above, plus 8 times the pixel's, plus 64 times that below."""
    tables = np.zeros((2, 512), np.bool_)
    bits = [1 << bit for bit in (0, 1, 2, 5, 8, 7, 6, 3)]  # of the neighbours from NW on; bit 4 is the pixel itself
    for table, codes in zip(tables, (FIRST + BOTH, SECOND + BOTH), strict=True):
        for code in codes:
            table[(1 << 4) + sum(bit for place, bit in enumerate(bits) if code >> place & 1)] = True
    return tables
