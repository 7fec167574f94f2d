"""Photographs with what their results keep of the file: alpha channel, color profile, resolution, EXIF."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage
from torch import Tensor

from ..data.decoding import alpha_channel, choose_picture, eight_bits, image_tensor, is_deep, opened, upright
from ..data.results import SOFTWARE

logger = logging.getLogger(__name__)

KEPT_FIELDS = ("Make", "Model", "DateTime", "Artist", "ImageDescription", "Copyright")
"""Main EXIF fields that results keep. Others describe the file's pixels, or may hold a preview with the background."""
LEFT_OUT = ("MakerNote", "ExifInteroperabilityOffset", "ExifImageWidth", "ExifImageHeight", "UserComment")
"""Fields of the camera's part of EXIF that results do not keep, for the same reasons."""


@dataclasses.dataclass(frozen=True)
class OpenedPhotograph:
    """Photograph as a predictor takes it, with what its cut-out keeps of the file."""

    pixels: NDArray[np.uint8] | Tensor
    """(H, W, 3) uint8; or, if the file has more than 8 bits, (3, H, W) float in [0, 1]."""
    alpha: NDArray[np.uint8] | None = None
    """Alpha channel (H, W); None if the file is opaque."""
    kept: dict[str, Any] = dataclasses.field(default_factory=dict)
    """`icc_profile` and `dpi`, if the file has them, as arguments of Pillow's `save`."""
    exif: bytes | None = None
    """EXIF for a result: camera, date, place and author."""

    @classmethod
    def read(cls, source: Path | bytes) -> OpenedPhotograph:
        """Read a file, or its bytes; raise the same errors as `read_image`."""
        with opened(source) as image:
            note = choose_picture(image)
            picture = upright(image)
        if note:
            logger.warning("%s %s", "the image" if isinstance(source, bytes) else source, note)
        return cls.of(picture)

    @classmethod
    def of(cls, picture: PillowImage.Image) -> OpenedPhotograph:
        """Take the pixels of a decoded picture, and what its cut-out keeps."""
        kept = {"icc_profile": _rgb_profile(picture), "dpi": _resolution(picture)}
        return cls(
            image_tensor(picture) if is_deep(picture) else eight_bits(picture),
            alpha_channel(picture),
            {name: value for name, value in kept.items() if value is not None},
            _kept_exif(picture),
        )


def plain_exif() -> PillowImage.Exif:
    """Return the EXIF of results, which says that dichoseg wrote them."""
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Software] = SOFTWARE
    return exif


def _kept_exif(picture: PillowImage.Image) -> bytes | None:
    """Return the EXIF that results keep; None if it is broken or the file has none."""
    try:
        found, kept = picture.getexif(), plain_exif()
        for name in KEPT_FIELDS:
            if (value := found.get(ExifTags.Base[name])) is not None:
                kept[ExifTags.Base[name]] = value
        camera = {tag: value for tag, value in found.get_ifd(ExifTags.IFD.Exif).items() if tag not in _LEFT_OUT_TAGS}
        for ifd, fields in ((ExifTags.IFD.Exif, camera), (ExifTags.IFD.GPSInfo, found.get_ifd(ExifTags.IFD.GPSInfo))):
            if fields:
                kept.get_ifd(ifd).update(fields)
        return kept.tobytes() if len(kept) > 1 else None
    except Exception:  # cameras write broken EXIF, at which Pillow fails in any way
        return None


_LEFT_OUT_TAGS = {ExifTags.Base[name] for name in LEFT_OUT}


def _rgb_profile(picture: PillowImage.Image) -> bytes | None:
    """Return the ICC profile if it is for RGB, as the pixels are by now; one for CMYK or gray would be wrong."""
    profile = picture.info.get("icc_profile") or b""
    return profile if profile[16:20] == b"RGB " else None


def _resolution(picture: PillowImage.Image) -> tuple[float, float] | None:
    """Return the dots per inch, across and down, if they are plausible and fit into the 16 bits of JPEG."""
    try:
        across, down = (float(value) for value in picture.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= 65535 and 1 <= down <= 65535 else None
