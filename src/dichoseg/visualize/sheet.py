"""Contact sheets: rows of named pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

Color = tuple[float, float, float]
"""Red, green and blue in [0, 1]."""
Picture = NDArray[np.float32]
"""(H, W) or (H, W, 3) in [0, 1]."""

TILE = 192
MARGIN = 8
LINE = 16
CAPTION = 22
PAPER, NAME_COLOR, CAPTION_COLOR = (250, 250, 250), (40, 40, 40), (90, 90, 90)


def contact_sheet(
    rows: Sequence[Mapping[str, Picture]],
    *,
    captions: Sequence[str] | None = None,
    legend: Mapping[str, Color] | None = None,
    tile: int = TILE,
) -> PillowImage.Image:
    """Lay out named pictures in rows.

    Rows of the same names share one line of names at the top; other rows have their names above the pictures.

    Args:
        rows: One mapping per row, name -> (H, W) or (H, W, 3) in [0, 1]. A name may have several lines.
        captions: One caption per row, drawn above it.
        legend: Legend at the top: meaning -> color, as red, green and blue in [0, 1].
        tile: Side of each tile, in pixels; pictures keep their aspect ratio.
    """
    if not rows or not all(rows):
        raise ValueError(f"a contact sheet needs rows of one picture or more; got {[list(row) for row in rows]}")
    if captions is not None and len(captions) != len(rows):
        raise ValueError(f"a contact sheet needs one caption per row; got {len(captions)} for {len(rows)} rows")
    width = MARGIN + (tile + MARGIN) * max(map(len, rows))
    shared_names = all(list(row) == list(rows[0]) for row in rows)
    strips = [_legend_strip(legend, width)] if legend else []
    if shared_names:
        strips.append(_name_strip(rows[0], width, tile))
    for index, row in enumerate(rows):
        if captions is not None:
            strips.append(_caption_strip(captions[index], width))
        if not shared_names:
            strips.append(_name_strip(row, width, tile))
        strips.append(_picture_strip(row, width, tile))
    return PillowImage.fromarray(np.vstack([np.asarray(strip) for strip in strips]))


def thumbnail(pixels: Picture, *, side: int = TILE) -> Picture:
    """Resize a picture (H, W) or (H, W, 3) in [0, 1] so that its longer side has `side` pixels.

    The result has three channels. A sheet of thumbnails needs less memory than one of large photographs.
    """
    return _resize(pixels, side, cv2.INTER_CUBIC)


def pixelate(pixels: Picture, *, side: int = TILE) -> Picture:
    """Resize a picture like `thumbnail`, but enlarge it without smoothing."""
    return _resize(pixels, side, cv2.INTER_NEAREST)


def _resize(pixels: Picture, side: int, enlarging: int) -> Picture:
    height, width = pixels.shape[:2]
    ratio = side / max(height, width)
    size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    interpolation = cv2.INTER_AREA if ratio < 1 else enlarging
    # by channel, because OpenCV would copy the whole of a transposed tensor
    channels = [pixels] if pixels.ndim == 2 else [pixels[..., index] for index in range(3)]
    resized = [cv2.resize(np.ascontiguousarray(channel), size, interpolation=interpolation) for channel in channels]
    return np.dstack(resized * (3 // len(resized))).clip(0, 1).astype(np.float32)


def _strip(width: int, height: int) -> tuple[PillowImage.Image, ImageDraw.ImageDraw]:
    """Return an empty strip of a sheet and the object that draws into it."""
    strip = PillowImage.new("RGB", (width, height), PAPER)
    return strip, ImageDraw.Draw(strip)


def _legend_strip(legend: Mapping[str, Color], width: int) -> PillowImage.Image:
    strip, draw = _strip(width, MARGIN + CAPTION)
    font, left, middle = _font(), MARGIN, MARGIN + CAPTION // 2
    for meaning, color in legend.items():
        red, green, blue = (round(255 * part) for part in color)
        draw.rectangle((left, middle - 6, left + 14, middle + 6), fill=(red, green, blue))
        draw.text((left + CAPTION, middle), meaning, fill=NAME_COLOR, font=font, anchor="lm")
        left += 2 * CAPTION + int(font.getlength(meaning))
    return strip


def _name_strip(row: Mapping[str, Picture], width: int, tile: int) -> PillowImage.Image:
    """Draw the names of a row's pictures, each centered above its picture."""
    names = [name.split("\n") for name in row]
    strip, draw = _strip(width, MARGIN + CAPTION + LINE * (max(map(len, names)) - 1))
    font = _font()
    for column, lines in enumerate(names):
        center = MARGIN + (tile + MARGIN) * column + tile // 2
        for index, line in enumerate(lines):
            place, color = (center, MARGIN + CAPTION // 2 + LINE * index), CAPTION_COLOR if index else NAME_COLOR
            draw.text(place, _shorten(line, font, tile), fill=color, font=font, anchor="mm")
    return strip


def _caption_strip(caption: str, width: int) -> PillowImage.Image:
    strip, draw = _strip(width, CAPTION)
    font = _font()
    text = _shorten(caption, font, width - 2 * MARGIN)
    draw.text((MARGIN, CAPTION // 2), text, fill=CAPTION_COLOR, font=font, anchor="lm")
    return strip


def _picture_strip(row: Mapping[str, Picture], width: int, tile: int) -> PillowImage.Image:
    """Draw a row's pictures, each centered in its tile."""
    tiles = [(255 * thumbnail(picture, side=tile)).round().astype(np.uint8) for picture in row.values()]
    strip, _ = _strip(width, max(map(len, tiles)) + MARGIN)
    for column, pixels in enumerate(tiles):
        height, own_width = pixels.shape[:2]
        left = MARGIN + (tile + MARGIN) * column + (tile - own_width) // 2
        strip.paste(PillowImage.fromarray(pixels), (left, (strip.height - MARGIN - height) // 2))
    return strip


def _font() -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which comes with matplotlib and covers most European languages."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size=13)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shorten a text in its middle until it is at most `width` pixels wide; replace characters that have no shape."""
    kept = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    while font.getlength(kept) > width and len(kept) > 4:
        half = (len(kept) - 2) // 2
        kept = f"{kept[:half]}…{kept[-half:]}"
    return kept
