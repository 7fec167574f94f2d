"""Pictures for people: contact sheets, learning curves, error maps."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .data import DataReport, FolderDataset

TILE = 192
MARGIN = 8
CAPTION = 22


def contact_sheet(
    rows: Sequence[Mapping[str, NDArray[np.float32]]], *, captions: Sequence[str] | None = None, tile: int = TILE
) -> PillowImage.Image:
    """Lay pictures out in rows, under the names of their columns.

    Args:
        rows: One mapping per row, column name -> (H, W) or (H, W, 3) in [0, 1]; the same columns in each.
        captions: A line to be written above each row.
        tile: Side of each tile, in pixels; pictures keep their aspect ratio.

    Raises:
        ValueError: No rows, rows of different columns, or another number of captions.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError(f"a contact sheet needs rows of the same columns; got {[list(row) for row in rows]}")
    if captions is not None and len(captions) != len(rows):
        raise ValueError(f"a contact sheet needs one caption a row; got {len(captions)} for {len(rows)} rows")
    columns = list(rows[0])
    tiles = [[_tile(picture, tile) for picture in row.values()] for row in rows]
    line = 0 if captions is None else CAPTION
    heights = [line + max(picture.height for picture in row) for row in tiles]
    width = MARGIN + (tile + MARGIN) * len(columns)
    sheet = PillowImage.new("RGB", (width, CAPTION + MARGIN + sum(heights) + MARGIN * len(rows)), (250, 250, 250))
    draw = ImageDraw.Draw(sheet)
    font = _font()
    lefts = [MARGIN + (tile + MARGIN) * column for column in range(len(columns))]
    for left, name in zip(lefts, columns, strict=True):
        draw.text((left + tile // 2, MARGIN + CAPTION // 2), name, fill=(40, 40, 40), font=font, anchor="mm")
    top = CAPTION + MARGIN
    for index, (pictures, height) in enumerate(zip(tiles, heights, strict=True)):
        if captions is not None:
            text = _fitting(captions[index], font, width - 2 * MARGIN)
            draw.text((MARGIN, top + line // 2), text, fill=(90, 90, 90), font=font, anchor="lm")
        for left, picture in zip(lefts, pictures, strict=True):
            corner = (left + (tile - picture.width) // 2, top + line + (height - line - picture.height) // 2)
            sheet.paste(picture, corner)
        top += height + MARGIN
    return sheet


def thumbnail(pixels: NDArray[np.float32], *, side: int = TILE) -> NDArray[np.float32]:
    """Bring a picture (H, W) or (H, W, 3) in [0, 1] to a longer side of `side` pixels, for a contact sheet.

    So that a sheet of large photographs holds its tiles alone.
    """
    return np.asarray(_tile(pixels, side), np.float32) / np.float32(255)


def error_map(prediction: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour what a prediction gets wrong: red where it sees foreground in vain, blue where it misses some.

    Foreground found is white, background found is black; soft values give the shades between.

    Args:
        prediction: (H, W) in [0, 1].
        mask: (H, W) in [0, 1].

    Returns:
        (H, W, 3) in [0, 1].
    """
    return np.stack([prediction, np.minimum(prediction, mask), mask], axis=-1)


def outlined(image: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Dim an image outside of its mask and draw the mask's border into it.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W) in [0, 1].

    Returns:
        (H, W, 3) in [0, 1].
    """
    import cv2

    inside = (mask > 0.5).astype(np.uint8)
    side = 2 * round(max(mask.shape) / 400) + 3
    border = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((side, side), np.uint8))[..., None] > 0
    dimmed = image * (0.3 + 0.7 * mask[..., None])
    return np.where(border, np.array([1, 0.2, 0.1], np.float32), dimmed).astype(np.float32)


def data_sheet(dataset: FolderDataset, report: DataReport, *, rows: int = 10) -> PillowImage.Image:
    """Lay out samples of a data set: image, mask, and the mask's border drawn into the image.

    Samples that the report warns of come first, their warnings in the caption, and leave half of the rows to the
    others, which are spread evenly over the set.

    Args:
        dataset: The samples; ones that cannot be used are not shown.
        report: What `dataset.report()` found.
        rows: Largest number of samples.

    Raises:
        ValueError: No sample can be used.
    """
    kinds: dict[str, list[str]] = {}
    for problem in report.warnings:
        kinds.setdefault(problem.name, []).append(problem.kind)
    usable = [index for index, (name, *_) in enumerate(dataset.files) if name not in report.unusable]
    if not usable:
        raise ValueError(f"nothing to show: none of the {len(dataset)} samples can be used; the report says why")
    others = [index for index in usable if dataset.files[index][0] not in kinds]
    warned = [index for index in usable if dataset.files[index][0] in kinds][: rows - min(rows // 2, len(others))]
    count = min(rows - len(warned), len(others))
    spread = np.linspace(0, len(others) - 1, count).round().astype(int).tolist() if count else []
    pictures, captions = [], []
    for index in [*warned, *(others[place] for place in spread)]:
        sample = dataset[index]
        image, mask = sample.image.permute(1, 2, 0).numpy(), sample.mask[0].numpy()
        columns = {"image": image, "mask": mask, "border": outlined(image, mask)}
        pictures.append({name: thumbnail(picture) for name, picture in columns.items()})
        size = f"{image.shape[1]}x{image.shape[0]}"
        captions.append(", ".join([sample.name, size, *kinds.get(sample.name, ())]))
    return contact_sheet(pictures, captions=captions)


def learning_curves(history: Sequence[Mapping[str, float]]) -> PillowImage.Image:
    """Draw a history as `fit` returns it: the loss and its parts, and the validation scores, over the epochs.

    Args:
        history: Rows with `epoch`, `loss` and, where there was validation data, `val_loss` and `quick_...`.

    Raises:
        ValueError: No rows.
    """
    if not history:
        raise ValueError("learning curves need a history of at least one epoch; got none")
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    scores = [name for name in history[0] if name.startswith("quick_")]
    figure = Figure(figsize=(10 if scores else 5, 3.8), dpi=120, layout="constrained")
    axes = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    epochs = [row["epoch"] for row in history]
    parts = _loss_parts(history)
    lines = {"loss": [row["loss"] for row in history]}
    if "val_loss" in history[0]:
        lines["val_loss"] = [row["val_loss"] for row in history]
    for name, values in lines.items():
        axes[0].plot(epochs, values, marker="o", markersize=3, linewidth=2, label=name)
    for name, values in parts.items() if len(parts) > 1 else ():
        axes[0].plot(epochs, values, marker=".", markersize=4, linewidth=1, linestyle="--", label=name)
    axes[0].set_title("loss and its parts" if len(parts) > 1 else "loss")
    drawn = [value for values in [*lines.values(), *parts.values()] for value in values]
    if min(drawn) > 0 and max(drawn) > 4 * min(drawn):
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[0].yaxis.set_major_formatter("{x:g}")
        axes[0].yaxis.set_minor_locator(NullLocator())
    for name in scores:
        axes[-1].plot(epochs, [row[name] for row in history], marker="o", markersize=3, linewidth=2, label=name)
    if scores:
        axes[-1].set_title("validation, at the network's size")
        axes[-1].set_ylim(0, 1)
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
    return _rendered(figure)


def metric_curves(curves: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> PillowImage.Image:
    """Draw F over the thresholds, and precision over recall where both are there, a line per set of predictions.

    Args:
        curves: What to call a line -> measure (`f`, `precision`, `recall`) -> 256 values, index i at grey level
            255 - i, as `Evaluator.curves` gives them.
    """
    from matplotlib.figure import Figure

    with_precision = all({"precision", "recall"} <= set(measured) for measured in curves.values())
    figure = Figure(figsize=(10 if with_precision else 5, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots(1, 2 if with_precision else 1, squeeze=False)[0]
    levels = np.arange(255, -1, -1)
    for name, measured in curves.items():
        values = measured["f"]
        best = int(values.argmax())
        (line,) = axes[0].plot(levels, values, label=f"{name}: {values[best]:.3f} at {levels[best]}")
        axes[0].plot(levels[best], values[best], marker="o", color=line.get_color())
        if with_precision:
            axes[1].plot(measured["recall"], measured["precision"], label=name)
    axes[0].set(xlabel="threshold (grey level)", ylabel="F", xlim=(0, 255), ylim=(0, 1), title="F-measure")
    if with_precision:
        axes[1].set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), title="precision and recall")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    return _rendered(figure)


def _rendered(figure: Figure) -> PillowImage.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return PillowImage.open(buffer).convert("RGB")


def _loss_parts(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Sums of the terms named `part/term`, by part."""
    parts: dict[str, list[float]] = {}
    for name in history[0]:
        part, slash, _ = name.partition("/")
        if slash:
            values = parts.setdefault(part, [0.0] * len(history))
            parts[part] = [value + row.get(name, math.nan) for value, row in zip(values, history, strict=True)]
    return parts


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has the letters of most of Europe's languages."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size=13)


def _tile(pixels: NDArray[np.float32], side: int) -> PillowImage.Image:
    """An RGB picture whose longer side is `side`."""
    picture = PillowImage.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)).convert("RGB")
    ratio = side / max(picture.size)
    shape = (max(round(picture.width * ratio), 1), max(round(picture.height * ratio), 1))
    return picture.resize(shape, PillowImage.Resampling.LANCZOS if ratio < 1 else PillowImage.Resampling.BICUBIC)


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, its middle left out where it is wider than `width` pixels."""
    kept = text
    while font.getlength(kept) > width and len(kept) > 4:
        half = (len(kept) - 2) // 2
        kept = f"{kept[:half]}…{kept[-half:]}"
    return kept
