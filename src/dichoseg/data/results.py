"""Recognition of results that dichoseg wrote, so that they are not taken for photographs."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import ExifTags

from .decoding import opened

SOFTWARE = "dichoseg"
"""EXIF field `Software` of results, by which they are known from photographs."""
_RESULT = re.compile(r".+\.(mask|cutout)\.(png|webp|jpg|avif|gif)", re.DOTALL)


def is_result(path: Path) -> bool:
    """Return whether a file is a result that was written next to its photograph."""
    return _RESULT.fullmatch(path.name) is not None and is_written_by_dichoseg(path)


def is_written_by_dichoseg(path: Path) -> bool:
    """Return whether a file is a result of dichoseg."""
    try:
        with opened(path) as image:
            comment = image.info.get("comment") if image.format == "GIF" else None  # which has no EXIF
            return comment == SOFTWARE.encode() or image.getexif().get(ExifTags.Base.Software) == SOFTWARE
    except (OSError, ValueError):
        return False
