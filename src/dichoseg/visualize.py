"""Pictures for people: contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

MARGIN = 8
CAPTION = 22


def contact_sheet(rows: Sequence[Mapping[str, NDArray[np.float32]]], *, tile: int = 192) -> PillowImage.Image:
    """Lay pictures out in rows, under the names of their columns.

    Args:
        rows: One mapping per row, column name -> (H, W) or (H, W, 3) in [0, 1]; the same columns in each.
        tile: Side of each tile, in pixels; pictures keep their aspect ratio.

    Raises:
        ValueError: No rows, or rows of different columns.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError(f"a contact sheet needs rows of the same columns; got {[list(row) for row in rows]}")
    columns = list(rows[0])
    step = tile + MARGIN
    size = (MARGIN + step * len(columns), CAPTION + MARGIN + step * len(rows))
    sheet = PillowImage.new("RGB", size, (250, 250, 250))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for column, name in enumerate(columns):
        center = MARGIN + step * column + tile // 2
        draw.text((center, MARGIN + CAPTION // 2), name, fill=(40, 40, 40), font=font, anchor="mm")
        for row, pictures in enumerate(rows):
            pixels = (np.clip(pictures[name], 0, 1) * 255).round().astype(np.uint8)
            picture = PillowImage.fromarray(pixels).convert("RGB")
            ratio = tile / max(picture.size)
            shape = (max(round(picture.width * ratio), 1), max(round(picture.height * ratio), 1))
            picture = picture.resize(
                shape, PillowImage.Resampling.LANCZOS if ratio < 1 else PillowImage.Resampling.BICUBIC
            )
            corner = (
                MARGIN + step * column + (tile - shape[0]) // 2,
                CAPTION + MARGIN + step * row + (tile - shape[1]) // 2,
            )
            sheet.paste(picture, corner)
    return sheet
