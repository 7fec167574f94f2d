"""Results of scoring folders: metrics by folder and subfolder, differences with their uncertainty, and files."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from ..data.decoding import read_image, to_unit
from ..data.mask_files import read_mask_pixels, read_prediction
from ..data.pairing import files_by_name
from ..metrics.evaluator import CURVES, Evaluator
from ..runtime.files import write_atomically, write_json
from ..visualize import contact_sheet, error_map, metric_curves, thumbnail
from .worst import ROWS, SHEET, TABLE, ImageScores, caption, save_sheet, worst_first, write_table

ALL = "all"
RESAMPLES = 2000


class Note(NamedTuple):
    """Remark about one file that matters for reading the scores."""

    kind: str
    message: str


class Difference(NamedTuple):
    """Paired difference of a metric to the first folder, with a 95 % bootstrap interval over images."""

    value: float
    low: float
    high: float


@final
class Comparison:
    """Scores of one or several folders of predictions on the same masks.

    Args:
        images: Names of the images.
        evaluators: Folder's name -> one evaluator per image, which holds only that image.
        notes: Remarks about single files.
        files: Folder's name -> (prediction, mask) of each image.
        reading: `foreground` and `ignore` of the masks, as in `read_mask`.
    """

    def __init__(
        self,
        *,
        images: Sequence[str],
        evaluators: Mapping[str, Sequence[Evaluator]],
        notes: Sequence[Note],
        files: Mapping[str, Sequence[tuple[Path, Path]]],
        reading: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.images = tuple(images)
        self.evaluators = evaluators
        self.notes = tuple(notes)
        self.files = files
        self.reading = reading
        self._differences: dict[int, dict[str, dict[str, Difference]]] = {}

    def subsets(self) -> dict[str, list[int]]:
        """Return subfolder or `"all"` -> indices of its images; only `"all"` if all images are in one folder."""
        parts: dict[str, list[int]] = {}
        for index, name in enumerate(self.images):
            parts.setdefault(name.rpartition("/")[0] or ".", []).append(index)
        everything = {ALL: list(range(len(self.images)))}
        return everything if len(parts) == 1 else {**parts, **everything}

    def merged(self, name: str, images: Sequence[int]) -> Evaluator:
        """Merge the evaluators of some of a folder's images."""
        first = self.evaluators[name][images[0]]
        whole = Evaluator(metrics=first.metrics, protocol=first.protocol, normalize=first.normalize)
        for index in images:
            whole.merge(self.evaluators[name][index])
        return whole

    def scores(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return folder -> subfolder or `"all"` -> metric -> value."""
        return {
            name: {subset: self.merged(name, images).compute() for subset, images in self.subsets().items()}
            for name in self.evaluators
        }

    def differences(self, *, seed: int = 0) -> dict[str, dict[str, Difference]]:
        """Return folder, except the first -> metric -> difference to the first folder, on the same images.

        The interval is computed from 2000 resamples of the images. `overall_` metrics, which pool pixels, and the
        `"dis"` protocol's `max_f` are left out. Results are cached for each seed.

        Args:
            seed: Random seed of the resamples.
        """
        if seed not in self._differences:
            self._differences[seed] = self._resampled(seed)
        return self._differences[seed]

    def counts(self) -> dict[str, int]:
        """Count the notes of each kind, and the degenerate masks and predictions."""
        whole = self.merged(next(iter(self.evaluators)), range(len(self.images)))
        return {**dict(Counter(note.kind for note in self.notes)), **whole.degenerate()}

    def text(self) -> str:
        """Format the results for a terminal: a row per folder and subfolder, the differences, and the counts."""
        scores = self.scores()
        metrics = list(next(iter(scores.values()))[ALL])
        rows = [["predictions", "masks", "images", *metrics]]
        sizes = {subset: str(len(images)) for subset, images in self.subsets().items()}
        for name, subsets in scores.items():
            rows += [
                [name, subset, sizes[subset], *(_number(row[metric]) for metric in metrics)]
                for subset, row in subsets.items()
            ]
        lines = _aligned(rows)
        for name, differences in self.differences().items():
            lines.append(f"{name} minus {next(iter(scores))}, with 95 % intervals over {len(self.images)} images:")
            lines += [
                f"  {metric}: {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"
                for metric, difference in differences.items()
            ]
        lines += [f"{kind.replace('_', ' ')}: {count}" for kind, count in self.counts().items() if count]
        return "\n".join(lines)

    def write(self, out: str | Path) -> None:
        """Write `scores.json`, `per_image.csv`, `curves.png` and `extremes.jpg` into a folder.

        Each file is written atomically. `curves.png`, with the curves of F and of precision over recall, requires
        `max_f` or `mean_f`. `extremes.jpg`, with the images of each folder that have the largest and the smallest mean
        absolute error, requires `mae`.
        """
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        first = next(iter(self.evaluators.values()))[0]
        content = {
            "protocol": first.protocol,
            "normalize": first.normalize,
            "definitions": first.definitions(),
            "images": len(self.images),
            "counts": self.counts(),
            "notes": [note._asdict() for note in self.notes],
            "scores": self.scores(),
            "differences": {
                name: {metric: difference._asdict() for metric, difference in row.items()}
                for name, row in self.differences().items()
            },
        }
        write_json(folder / "scores.json", content)
        write_table(folder / "per_image.csv", self._table(range(len(self.images)) for _ in self.evaluators))
        curves = {name: self.merged(name, range(len(self.images))).curves() for name in self.evaluators}
        if first.protocol == "pysodmetrics" and "f" in next(iter(curves.values())):
            write_atomically(folder / "curves.png", functools.partial(metric_curves(curves).save, format="PNG"))
        if "mae" in first.metrics:
            save_sheet(folder / "extremes.jpg", self._extremes())

    def write_worst(self, out: str | Path, *, rows: int = ROWS, images: str | Path | None = None) -> None:
        """Write `worst.csv`, the rows of `per_image.csv` from the worst to the best, and `worst.jpg` of the worst.

        The first metric decides; images with an undefined value come last. `worst.jpg` shows mask, prediction and
        errors: white if both are foreground, red if only the prediction is, blue if only the mask is, black where
        pixels are ignored.

        Args:
            out: Folder for the two files, created if missing.
            rows: Maximum number of images of each folder in `worst.jpg`.
            images: Folder of the images, which `worst.jpg` then shows too.
        """
        metric = next(iter(self.evaluators.values()))[0].metrics[0]
        tables = {name: [evaluator.table()[0] for evaluator in found] for name, found in self.evaluators.items()}
        orders = {name: worst_first(table, metric) for name, table in tables.items()}
        write_table(Path(out) / TABLE, self._table(orders.values()))
        photographs = {} if images is None else files_by_name(Path(images))
        pictures, captions = [], []
        for name, order in orders.items():
            for place, index in enumerate(order[:rows], start=1):
                photograph = photographs.get(self.images[index])
                shown = (
                    {} if photograph is None else {"image": thumbnail(read_image(photograph).permute(1, 2, 0).numpy())}
                )
                pictures.append(shown | _tiles(*self.files[name][index], self.reading))
                text = caption(place, tables[name][index], metric)
                captions.append(text if len(orders) == 1 else f"{name}, {text}")
        save_sheet(Path(out) / SHEET, contact_sheet(pictures, captions=captions))

    def _resampled(self, seed: int) -> dict[str, dict[str, Difference]]:
        first, *others = self.evaluators
        if not others:
            return {}
        count = len(self.images)
        weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
        weights = np.concatenate([np.full((1, count), 1 / count), weights])  # first row: the set itself
        base = self._statistics(first, weights)
        result = {}
        for name in others:
            found = {metric: values - base[metric] for metric, values in self._statistics(name, weights).items()}
            result[name] = {
                metric: Difference(float(values[0]), *np.nanquantile(values[1:], [0.025, 0.975]).tolist())
                for metric, values in found.items()
            }
        return result

    def _statistics(self, name: str, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Compute each metric under each row of weights over the images."""
        evaluators = self.evaluators[name]
        rows = [evaluator.table()[0] for evaluator in evaluators]
        of_images = [evaluator.curves() for evaluator in evaluators]
        statistics = {}
        for metric in evaluators[0].metrics:
            variant, _, measure = metric.partition("_") if metric in CURVES else ("", "", metric)
            pooled = variant == "overall" or (evaluators[0].protocol == "dis" and metric == "max_f")
            if pooled:
                continue
            if variant in ("max", "mean"):
                curves = weights @ np.stack([curves_of_image[measure] for curves_of_image in of_images])
                statistics[metric] = curves.max(axis=1) if variant == "max" else curves.mean(axis=1)
            else:
                values = np.array([float(row[metric]) for row in rows])
                counted = ~np.isnan(values)  # images with an undefined value are left out
                if counted.any():
                    chosen = weights[:, counted]
                    total = chosen.sum(axis=1)
                    total[total == 0] = np.nan  # resamples of only undefined images
                    statistics[metric] = chosen @ values[counted] / total
        return statistics

    def _table(self, orders: Iterable[Sequence[int]]) -> list[ImageScores]:
        """Return a row per folder and image, each folder's in an order of its own."""
        return [
            {"predictions": name, **evaluators[index].table()[0]}
            for (name, evaluators), order in zip(self.evaluators.items(), orders, strict=True)
            for index in order
        ]

    def _extremes(self, rows: int = 5) -> PillowImage.Image:
        """Draw a contact sheet of each folder's worst and best images by mean absolute error."""
        pictures, captions = [], []
        for name, evaluators in self.evaluators.items():
            errors = [float(evaluator.table()[0]["mae"]) for evaluator in evaluators]
            order = sorted(range(len(errors)), key=lambda index: -errors[index])
            worst, best = order[:rows], order[max(len(order) - rows, rows) :]
            for label, indices in (("worst", worst), ("best", best)):
                for index in indices:
                    pictures.append(_tiles(*self.files[name][index], self.reading))
                    captions.append(f"{name}, {label}: {self.images[index]}, mae {errors[index]:.3f}")
        return contact_sheet(pictures, captions=captions)


def _tiles(prediction_path: Path, mask_path: Path, reading: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    pixels, weight = read_mask_pixels(mask_path, **reading)
    mask = thumbnail(to_unit(pixels)[0].numpy())[..., 0]
    counted = 1.0 if weight is None else thumbnail(weight[0].float().numpy())[..., 0]
    levels, _ = read_prediction(prediction_path)
    whole = levels.astype(np.float32) / (255 if levels.dtype == np.uint8 else 1)
    height, width = mask.shape
    prediction = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    return {"mask": mask, "prediction": prediction, "errors": error_map(prediction * counted, mask * counted)}


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Format rows as lines of aligned columns: the first two to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
