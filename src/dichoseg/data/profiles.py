"""Color profiles of images that are not RGB."""

from __future__ import annotations

import io

from PIL import Image as PillowImage
from PIL import ImageCms

_KINDS = {"CMYK": b"CMYK", "L": b"GRAY", "LAB": b"Lab "}
"""Pillow's mode -> color space that its ICC profile must state."""


def to_srgb(image: PillowImage.Image) -> PillowImage.Image:
    """Convert a CMYK, CIE LAB or gray image to sRGB by its ICC profile.

    Other images are returned unchanged; also CMYK and gray ones without a usable profile, which Pillow converts by a
    formula. CIE LAB without one is that of the D50 illuminant.
    """
    profile = image.info.get("icc_profile") or b""
    if image.mode not in _KINDS or (profile[16:20] != _KINDS[image.mode] and image.mode != "LAB"):
        return image
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        if image.mode == "LAB":
            raise ValueError(f"its colors are CIE LAB, which cannot be converted: {error}") from error
        return image
    return image if converted is None else converted
