"""Scoring of one or several folders of predictions against a folder of masks."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from ..checking import whole
from ..data.decoding import open_image, to_unit
from ..data.mask_files import Value, check_values, mask_and_weight, read_prediction
from ..data.pairing import files_by_name
from ..inference.predictor import to_uint8
from ..metrics.evaluator import Evaluator
from ..runtime.progress import tracked
from .comparison import Comparison, Note
from .skeletons import cached_skeleton

LARGEST_BACKGROUND = 128
"""Highest background level of a mask."""


class _Task(NamedTuple):
    name: str
    mask: Path
    predictions: tuple[Path, ...]


def evaluate_folders(
    predictions: str | Path,
    masks: str | Path,
    *,
    mask_suffix: str = "",
    foreground: Sequence[Value] | None = None,
    ignore: Sequence[Value] = (),
    metrics: Sequence[str] = ("paper",),
    protocol: str = "pysodmetrics",
    normalize: bool = True,
    workers: int = 0,
    progress: bool = False,
) -> dict[str, float]:
    """Score a folder of predictions against a folder of masks, with the metrics that papers report.

    `compare_folders` does more: several folders side by side, subfolders, single images, plots.

    Args:
        predictions: Folder of grayscale predictions, each with its mask's name and any extension.
        masks: Folder of masks, read as by `read_mask`.
        mask_suffix: Suffix that the masks' names add to those of the predictions, such as `"_mask"`; other files in
            the folder of masks are ignored.
        foreground: Label ids or colors of masks that are foreground, as in `FolderDataset`.
        ignore: Label ids or colors of pixels that are ignored, as in `FolderDataset`; `Pair` says how.
        metrics: Names and groups of metrics, as in `Evaluator`.
        protocol: `"pysodmetrics"` or `"dis"`, as in `Evaluator`.
        normalize: Whether to min-max normalize each prediction to [0, 1] first.
        workers: Number of additional processes, which does not affect the results. A script that uses them needs
            `if __name__ == "__main__":`.
        progress: Whether to show the progress: a bar on a terminal or in a notebook, else a line from time to time.
    """
    comparison = compare_folders(
        {"predictions": predictions},
        masks,
        mask_suffix=mask_suffix,
        foreground=foreground,
        ignore=ignore,
        metrics=metrics,
        protocol=protocol,
        normalize=normalize,
        workers=workers,
        progress=progress,
    )
    return comparison.scores()["predictions"]["all"]


def compare_folders(
    predictions: Mapping[str, str | Path],
    masks: str | Path,
    *,
    mask_suffix: str = "",
    prediction_suffix: str = "",
    foreground: Sequence[Value] | None = None,
    ignore: Sequence[Value] = (),
    metrics: Sequence[str] = ("paper",),
    protocol: str = "pysodmetrics",
    normalize: bool = True,
    allow_missing: bool = False,
    skeletons: str | Path | None = None,
    workers: int = 0,
    progress: bool = False,
) -> Comparison:
    """Score several folders of predictions against the same masks.

    A prediction whose size differs from its mask's is resized bilinearly, as in papers, and counted.

    Args:
        predictions: Name of each folder -> path of the folder.
        masks: Folder of masks, as in `evaluate_folders`.
        mask_suffix: Suffix that the masks' names add to those of the images.
        prediction_suffix: Suffix that the predictions' names add to those of the images; other files in their folders
            are ignored.
        foreground: Label ids or colors of masks that are foreground, as in `FolderDataset`.
        ignore: Label ids or colors of pixels that are ignored, as in `FolderDataset`; `Pair` says how.
        metrics: Names and groups of metrics, as in `Evaluator`.
        protocol: `"pysodmetrics"` or `"dis"`, as in `Evaluator`.
        normalize: Whether to min-max normalize each prediction to [0, 1] first.
        allow_missing: Whether to skip and count files without a mask, or without a prediction in every folder, instead
            of raising an error.
        skeletons: Folder that caches the masks' skeletons, which HCE needs; None disables the cache.
        workers: Number of additional processes, as in `evaluate_folders`.
        progress: Whether to show the progress: a bar on a terminal or in a notebook, else a line from time to time.
    """
    if not predictions:
        raise ValueError("compare_folders needs at least one folder of predictions; got none")
    make_evaluator = functools.partial(Evaluator, metrics=metrics, protocol=protocol, normalize=normalize)
    if "hce" not in make_evaluator().metrics:
        skeletons = None
    whole("workers", workers)
    tasks, missing = _tasks(
        [Path(folder) for folder in predictions.values()],
        Path(masks),
        mask_suffix=mask_suffix,
        prediction_suffix=prediction_suffix,
        allow_missing=allow_missing,
    )
    reading = {
        "foreground": None if foreground is None else check_values("foreground", foreground),
        "ignore": check_values("ignore", ignore),
    }
    score = functools.partial(
        _score,
        make_evaluator=make_evaluator,
        reading=reading,
        skeletons=None if skeletons is None else Path(skeletons),
    )
    results = list(tracked(_run(score, tasks, workers), "evaluate", len(tasks), shown=progress, unit="images"))
    return Comparison(
        images=tuple(task.name for task in tasks),
        evaluators={
            name: tuple(evaluators[index] for evaluators, _ in results) for index, name in enumerate(predictions)
        },
        notes=tuple(note for _, notes in results for note in notes) + missing,
        reading=reading,
        files={
            name: tuple((task.predictions[index], task.mask) for task in tasks)
            for index, name in enumerate(predictions)
        },
    )


def check_images(images: Path, masks: Path, *, mask_suffix: str, allow_missing: bool) -> None:
    """Raise a ValueError if images that are to be predicted lack a mask, or the other way round."""
    _tasks([images], masks, mask_suffix=mask_suffix, prediction_suffix="", allow_missing=allow_missing)


def _tasks(
    folders: Sequence[Path], masks: Path, *, mask_suffix: str, prediction_suffix: str, allow_missing: bool
) -> tuple[list[_Task], tuple[Note, ...]]:
    """Return one task for each mask that has a prediction in every folder, and notes about the other files."""
    wanted = files_by_name(masks, suffix=mask_suffix)
    found = [files_by_name(folder, suffix=prediction_suffix) for folder in folders]
    notes: list[Note] = []
    for folder, files in zip(folders, found, strict=True):
        notes += [
            Note("masks without prediction", f"{wanted[name]} has no prediction in {folder}")
            for name in sorted(wanted.keys() - files.keys())
        ]
        notes += [
            Note("predictions without mask", f"{files[name]} has no mask in {masks}")
            for name in sorted(files.keys() - wanted.keys())
        ]
    names = sorted(set(wanted).intersection(*found))
    if notes and not (allow_missing and names):
        more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
        raise ValueError(
            f"{notes[0].message}{more}; allow_missing=True scores only files that have both"
            if names
            else f"no prediction has a mask of the same name: {notes[0].message}{more}{_suffix_hint(wanted, found)}"
        )
    return [_Task(name, wanted[name], tuple(files[name] for files in found)) for name in names], tuple(notes)


def _suffix_hint(wanted: Mapping[str, Path], found: Sequence[Mapping[str, Path]]) -> str:
    """Return which suffix of the predictions' names to remove, if the first mask's name with one suffix is there."""
    first = min(wanted)
    suffixes = {name.removeprefix(first) for files in found for name in files if name.startswith(first)}
    return f"; prediction_suffix={suffixes.pop()!r} compares names without it" if len(suffixes) == 1 else ""


def _run(
    score: functools.partial[tuple[list[Evaluator], list[Note]]], tasks: Sequence[_Task], workers: int
) -> Iterator[tuple[list[Evaluator], list[Note]]]:
    if workers == 0:
        yield from map(score, tasks)
        return
    # spawn: a forked child does not have the threads of OpenCV and torch whose state it inherits
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(score, tasks)


def _score(
    task: _Task, *, make_evaluator: Callable[[], Evaluator], reading: Mapping[str, Any], skeletons: Path | None
) -> tuple[list[Evaluator], list[Note]]:
    """Score the predictions of all folders for one mask."""
    notes: list[Note] = []
    picture = open_image(task.mask)
    pixels, weights = mask_and_weight(picture, task.mask, **reading)
    mask = to_uint8(to_unit(pixels)[0].numpy())
    weight = None if weights is None else weights[0].numpy()
    if weight is not None and not weight.any():
        raise ValueError(f"{task.mask}: each pixel is ignored; leave the file out")
    if reading["foreground"] is None and picture.mode == "L" and picture.getextrema()[1] == 1:
        notes.append(Note("masks of 0 and 1", f"{task.mask} is read as black and white"))
    skeleton = None
    if skeletons is not None:
        skeleton = cached_skeleton(mask > LARGEST_BACKGROUND, skeletons)
    evaluators = []
    for path in task.predictions:
        prediction, kind = read_prediction(path)
        if kind is not None:
            notes.append(Note(kind, str(path)))
        if prediction.shape != mask.shape:
            sizes = "{1}x{0} pixels, its mask {3}x{2}".format(*prediction.shape, *mask.shape)
            notes.append(Note("predictions resized to their mask", f"{path} is {sizes}"))
            prediction = cv2.resize(prediction, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        evaluator = make_evaluator()
        evaluator.update(prediction, mask, name=task.name, skeleton=skeleton, weight=weight)
        evaluators.append(evaluator)
    return evaluators, notes
