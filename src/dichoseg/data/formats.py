"""Formats of images that are read, and limits on their pixels."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image as PillowImage

from ..checking import whole

FORMATS = (
    "JPEG", "PNG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000", "AVIF", "HEIF", "DIB", "ICO", "PCX",
    "QOI", "SGI",
)  # fmt: skip
"""Formats of Pillow that are read, if it has them: none starts a program, as EPS does, or refers to other files."""

LARGEST_SIDE = {"webp": 16383, "jpg": 65500, "avif": 65535, "gif": 65535}
"""Longest side in pixels, for the formats that have a limit."""

HEIF_ENDINGS = (".heic", ".heif", ".hif")
HEIF_ADVICE = "pip install 'dichoseg[heif]' reads HEIC photographs"


@functools.cache
def usable_formats() -> tuple[str, ...]:
    """Return the formats that are read and that this Pillow has; HEIF with pillow-heif."""
    PillowImage.init()
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(name for name in FORMATS if name in PillowImage.OPEN)


def usable_endings() -> set[str]:
    """Return the endings of the files that are read, in lowercase."""
    usable = usable_formats()
    return {ending for ending, kind in PillowImage.registered_extensions().items() if kind in usable}


def lacks_heif(path: str | Path) -> bool:
    """Return whether a file could be read if pillow-heif were installed, by its ending."""
    return Path(path).suffix.lower() in HEIF_ENDINGS and "HEIF" not in usable_formats()


def is_lossy(path: str | Path) -> bool:
    """Return whether a file's compression changes gray levels.

    That of JPEG, AVIF and HEIF does, WebP's and JPEG 2000's unless lossless, and TIFF's if it is one of these.
    """
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if head[:4] in (b"II*\0", b"MM\0*"):
        with PillowImage.open(path, formats=["TIFF"]) as image:
            return image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
    if head[:4] == b"\xff\x4f\xff\x51" or head[4:8] == b"jP  ":  # JPEG 2000
        style = head.find(b"\xff\x52", head.find(b"\xff\x4f\xff\x51"))  # coding style, which names the transformation
        return style >= 0 and head[style + 13 : style + 14] == b"\0"
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head[:2] == b"\xff\xd8" or head[4:8] == b"ftyp" or (is_webp and b"VP8L" not in head)


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
