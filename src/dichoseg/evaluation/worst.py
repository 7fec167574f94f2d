"""Scores with those of each image, and the worst images: a table and a contact sheet."""

from __future__ import annotations

import csv
import functools
import logging
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TypeAlias, final

import numpy as np
from PIL import Image as PillowImage

from ..contracts import Model, Samples
from ..data.formats import LARGEST_SIDE
from ..data.layouts import samples_of
from ..inference.predictor import Predictor
from ..metrics.evaluator import Evaluator
from ..metrics.per_image import higher_is_better
from ..runtime.files import ESCAPED, write_atomically
from ..runtime.seeding import seeded
from ..visualize import contact_sheet, error_map, thumbnail
from ..visualize.samples import sample_at

logger = logging.getLogger(__name__)

ImageScores: TypeAlias = dict[str, str | float]
"""Name of an image, and its value of each metric."""

TABLE, SHEET = "worst.csv", "worst.jpg"
ROWS = 20


@final
class Scores(dict[str, float]):
    """Metric -> value, a dict that also holds the values of each image.

    Args:
        evaluator: Evaluator that has seen all images.
    """

    images: list[ImageScores]
    """One row per image, in the order of the data set: its `name` and its own value of each metric."""

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__(evaluator.compute())
        self.images = evaluator.table()

    def worst_first(self, metric: str | None = None) -> list[ImageScores]:
        """Return the rows of the images from the worst to the best; images with an undefined value come last.

        Args:
            metric: Metric that decides. Default: the first one, which is `mae` unless `evaluate` was asked for others.
        """
        return [self.images[index] for index in worst_first(self.images, metric or next(iter(self)))]


def worst_first(rows: Sequence[Mapping[str, str | float]], metric: str) -> list[int]:
    """Return the indices of images from the worst to the best value of a metric; undefined values, NaN, come last."""
    if not rows or metric not in rows[0]:
        raise ValueError(f"metric must be one of the scores, {', '.join([*rows[0]][1:])}; got {metric!r}")
    sign = 1 if higher_is_better(metric) else -1
    values = [sign * float(row[metric]) for row in rows]
    return sorted(range(len(rows)), key=lambda index: (isnan(values[index]), values[index]))


def write_worst(
    model: Model,
    dataset: Samples | str | Path,
    scores: Scores,
    folder: str | Path,
    *,
    metric: str | None = None,
    rows: int = ROWS,
) -> None:
    """Write the images of a data set from the worst to the best: `worst.csv`, and `worst.jpg` of the worst ones.

    `worst.csv` has one row per image with its name and each metric. `worst.jpg` shows image, mask, prediction and
    errors: white if both are foreground, red if only the prediction is, blue if only the mask is.

    Args:
        model: Model that was scored; it is not changed.
        dataset: Data that it was scored on, as given to `evaluate`.
        scores: Result of `evaluate(model, dataset)`.
        folder: Folder for the two files, created if missing.
        metric: Metric that decides. Default: the first one, which is `mae` unless `evaluate` was asked for others.
        rows: Maximum number of images in `worst.jpg`.
    """
    metric = metric or next(iter(scores))
    order = worst_first(scores.images, metric)
    write_table(Path(folder) / TABLE, [scores.images[index] for index in order])
    shown = order[:rows]
    captions = [caption(place, scores.images[index], metric) for place, index in enumerate(shown, start=1)]
    save_sheet(Path(folder) / SHEET, prediction_sheet(model, samples_of(dataset), shown, captions=captions))


def caption(place: int, row: Mapping[str, str | float], metric: str) -> str:
    """Return the caption of an image in a sheet of the worst ones."""
    return f"{place}. {row['name']}: {metric} {float(row[metric]):.4g}"


def write_table(path: Path, rows: Sequence[Mapping[str, str | float]]) -> None:
    """Write rows as a CSV file; a key that a row lacks is empty there."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8", errors=ESCAPED) as file:
            writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)


def save_sheet(path: Path, sheet: PillowImage.Image) -> None:
    """Write a contact sheet as a JPEG file, without the rows that such a file cannot hold."""
    most = LARGEST_SIDE["jpg"]
    if sheet.height > most:
        logger.warning("%s ends after %d pixels, the most that a JPEG file holds; show fewer images", path, most)
        sheet = sheet.crop((0, 0, sheet.width, most))
    write_atomically(path, functools.partial(sheet.save, format="JPEG", quality=90))


def prediction_sheet(
    model: Model, data: Samples, indices: Sequence[int], *, captions: Sequence[str] | None = None
) -> PillowImage.Image:
    """Draw a model's predictions for some images of a data set.

    Args:
        model: Any model; it is not changed.
        data: Samples or plain pairs.
        indices: Indices of the images, one row each.
        captions: Captions of the rows. Default: each image's name and mean absolute error.

    Returns:
        A sheet of image, mask, prediction and errors: white if both are foreground, red if only the prediction is, blue
        if only the mask is. Ignored pixels are black.
    """
    predictor = Predictor(model)
    pictures, errors = [], []
    for index in indices:
        with seeded(0, index):
            sample = sample_at(data, index)
        image, mask, name = sample
        prediction = predictor(model.preprocessing.input_of(image, mask))
        truth = mask[0].numpy()
        counted = np.ones_like(truth) if sample.weight is None else sample.weight[0].numpy()
        error = np.abs(prediction - truth)[counted > 0].mean() if counted.any() else 0.0
        columns = {
            "image": image.permute(1, 2, 0).numpy(),
            "mask": truth,
            "prediction": prediction,
            "errors": error_map(prediction * counted, truth * counted),
        }
        pictures.append({name: thumbnail(picture) for name, picture in columns.items()})
        errors.append(f"{name}: mean absolute error {error:.3f}")
    return contact_sheet(pictures, captions=errors if captions is None else captions)
