"""Contact sheets: rows of named pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

Colour = tuple[float, float, float]
"""Red, green and blue in [0, 1]."""
Picture = NDArray[np.float32]
"""(H, W) or (H, W, 3) in [0, 1]."""

TILE = 192
MARGIN = 8
CAPTION = 22
LINE = 16
PAPER, NAME, SAYING = (250, 250, 250), (40, 40, 40), (90, 90, 90)


def contact_sheet(
    rows: Sequence[Mapping[str, Picture]],
    *,
    captions: Sequence[str] | None = None,
    legend: Mapping[str, Colour] | None = None,
    tile: int = TILE,
) -> PillowImage.Image:
    """Lay out pictures in rows, under the names of their columns.

    Args:
        rows: One mapping per row, column name -> (H, W) or (H, W, 3) in [0, 1]; the same columns in each.
        captions: One caption per row, drawn above it.
        legend: Legend at the top: meaning -> color, as red, green and blue in [0, 1].
        tile: Side of each tile, in pixels; pictures keep their aspect ratio.

    Raises:
        ValueError: There are no rows, or the rows differ in their columns or from the captions in number.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError(f"a contact sheet needs rows of the same columns; got {[list(row) for row in rows]}")
    bands = [*_legend(legend), _names(rows[0], tile)]
    for caption, row in zip(_captions(captions, rows), rows, strict=True):
        bands += [*caption, _pictures(row, tile)]
    return _drawn(bands, width=MARGIN + (tile + MARGIN) * len(rows[0]))


def labelled_sheet(
    rows: Sequence[Mapping[str, Picture]],
    *,
    captions: Sequence[str] | None = None,
    legend: Mapping[str, Colour] | None = None,
    tile: int = TILE,
) -> PillowImage.Image:
    """Lay out pictures in rows, each under its own name; rows may differ in number and names of pictures.

    Args:
        rows: One mapping per row, name -> (H, W) or (H, W, 3) in [0, 1]. A name may have several lines.
        captions: One caption per row, drawn above it.
        legend: Legend at the top, as in `contact_sheet`.
        tile: Side of each tile, in pixels; pictures keep their aspect ratio.

    Raises:
        ValueError: There are no rows, a row has no pictures, or the number of captions differs from that of rows.
    """
    if not rows or not all(rows):
        raise ValueError(f"a labeled sheet needs rows of one picture or more; got {[list(row) for row in rows]}")
    bands = _legend(legend)
    for caption, row in zip(_captions(captions, rows, heading=True), rows, strict=True):
        bands += [*caption, _names(row, tile), _pictures(row, tile)]
    return _drawn(bands, width=MARGIN + (tile + MARGIN) * max(map(len, rows)))


def thumbnail(pixels: Picture, *, side: int = TILE) -> Picture:
    """Resize a picture (H, W) or (H, W, 3) in [0, 1] so that its longer side has `side` pixels.

    The result has three channels. A sheet of thumbnails needs less memory than one of large photographs.
    """
    return np.asarray(_tile(pixels, side), np.float32) / np.float32(255)


def pixelated(picture: Picture, *, side: int = TILE) -> Picture:
    """Resize a picture like `thumbnail`, but enlarge it without smoothing."""
    height, width = picture.shape[:2]
    ratio = side / max(height, width)
    if ratio > 1:
        size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST), np.float32)
    return thumbnail(picture, side=side)


class _Text(NamedTuple):
    left: int
    middle: int
    width: int
    text: str
    colour: tuple[int, int, int]
    anchor: str = "lm"
    bold: bool = False


class _Band(NamedTuple):
    """Horizontal stripe of the sheet; positions are relative to it."""

    height: int
    texts: Sequence[_Text] = ()
    pictures: Sequence[tuple[int, int, PillowImage.Image]] = ()
    swatches: Sequence[tuple[int, Colour]] = ()


def _legend(legend: Mapping[str, Colour] | None) -> list[_Band]:
    if not legend:
        return []
    font, left = _font(), MARGIN
    texts, swatches = [], []
    for meaning, colour in legend.items():
        swatches.append((left, colour))
        length = int(font.getlength(meaning)) + 1
        texts.append(_Text(left + CAPTION, MARGIN + CAPTION // 2, length, meaning, NAME))
        left += 2 * CAPTION + length
    return [_Band(CAPTION + MARGIN, texts, swatches=swatches)]


def _names(row: Mapping[str, Picture], tile: int) -> _Band:
    """Make the band of a row's names, each centered above its picture."""
    names = [name.split("\n") for name in row]
    texts = [
        _Text(
            _left(place, tile) + tile // 2,
            MARGIN + CAPTION // 2 + LINE * index,
            tile,
            line,
            SAYING if index else NAME,
            "mm",
        )
        for place, lines in enumerate(names)
        for index, line in enumerate(lines)
    ]
    return _Band(CAPTION + MARGIN + LINE * (max(map(len, names)) - 1), texts)


def _captions(
    captions: Sequence[str] | None, rows: Sequence[Mapping[str, Picture]], *, heading: bool = False
) -> list[list[_Band]]:
    """Make the bands above each row: one with its caption, or none."""
    if captions is None:
        return [[] for _ in rows]
    if len(captions) != len(rows):
        raise ValueError(f"a contact sheet needs one caption a row; got {len(captions)} for {len(rows)} rows")
    gap, colour = (MARGIN, NAME) if heading else (0, SAYING)
    middle, whole = gap + CAPTION // 2, 10**6  # cut to the sheet's width when it is known
    return [
        [_Band(gap + CAPTION, [_Text(MARGIN, middle, whole, caption, colour, bold=heading)])] for caption in captions
    ]


def _pictures(row: Mapping[str, Picture], tile: int) -> _Band:
    tiles = [_tile(picture, tile) for picture in row.values()]
    height = max(picture.height for picture in tiles)
    placed = [
        (_left(place, tile) + (tile - picture.width) // 2, (height - picture.height) // 2, picture)
        for place, picture in enumerate(tiles)
    ]
    return _Band(height + MARGIN, pictures=placed)


def _left(place: int, tile: int) -> int:
    return MARGIN + (tile + MARGIN) * place


def _drawn(bands: Sequence[_Band], *, width: int) -> PillowImage.Image:
    sheet = PillowImage.new("RGB", (width, sum(band.height for band in bands)), PAPER)
    draw, fonts, top = ImageDraw.Draw(sheet), {bold: _font(bold=bold) for bold in (False, True)}, 0
    for band in bands:
        for left, colour in band.swatches:
            box = (left, top + MARGIN + 5, left + 14, top + MARGIN + 17)
            draw.rectangle(box, fill=_bytes(colour))
        for text in band.texts:
            font = fonts[text.bold]
            fitting = _fitting(text.text, font, min(text.width, width - 2 * MARGIN))
            draw.text((text.left, top + text.middle), fitting, fill=text.colour, font=font, anchor=text.anchor)
        for left, down, picture in band.pictures:
            sheet.paste(picture, (left, top + down))
        top += band.height
    return sheet


def _bytes(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue


def _font(*, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which comes with matplotlib and covers most European languages."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size=13)


def _tile(pixels: Picture, side: int) -> PillowImage.Image:
    """Convert to an RGB picture whose longer side is `side`."""
    height, width = pixels.shape[:2]
    ratio = side / max(height, width)
    shape = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    if ratio < 0.25:  # by channel, first to twice the tile: whole copies of 20 megapixels are large
        planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
        double = (2 * shape[0], 2 * shape[1])
        pixels = np.dstack([cv2.resize(np.ascontiguousarray(p), double, interpolation=cv2.INTER_AREA) for p in planes])
        pixels = pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels
    picture = PillowImage.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)).convert("RGB")
    return picture.resize(shape, PillowImage.Resampling.LANCZOS if ratio < 1 else PillowImage.Resampling.BICUBIC)


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shorten a text in its middle until it is at most `width` pixels wide."""
    kept = text
    while font.getlength(kept) > width and len(kept) > 4:
        half = (len(kept) - 2) // 2
        kept = f"{kept[:half]}…{kept[-half:]}"
    return kept
