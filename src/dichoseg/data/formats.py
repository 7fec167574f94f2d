"""Formats of images that are read, and the limit on their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image as PillowImage

from ..checking import whole

FORMATS = (
    "JPEG", "PNG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000", "AVIF", "HEIF", "DIB", "ICO", "PCX",
    "QOI", "SGI",
)  # fmt: skip
"""Formats of Pillow that are read, if it has them: none starts a program, as EPS does, or refers to other files."""


def usable_formats() -> list[str]:
    """Return the formats that are read and that this Pillow has."""
    PillowImage.init()  # registers the formats; it works once
    return [name for name in FORMATS if name in PillowImage.OPEN]


@contextmanager
def pixel_limit(most: int) -> Iterator[None]:
    """Allow images of so many pixels inside the block, in all threads of the process.

    Args:
        most: Largest number of pixels, by default 2 * 89,478,485. `read_image` takes 16 bytes for each.
    """
    before = PillowImage.MAX_IMAGE_PIXELS
    PillowImage.MAX_IMAGE_PIXELS = whole("pixels", most, least=2) // 2
    try:
        yield
    finally:
        PillowImage.MAX_IMAGE_PIXELS = before
