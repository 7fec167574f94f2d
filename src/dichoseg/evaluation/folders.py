"""Scores of the files in one or several folders of predictions against a folder of masks."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from ..data.decoding import mask_tensor, open_image, read_prediction
from ..data.folder import files_by_name
from ..metrics.evaluator import Evaluator
from .comparison import Comparison, Note
from .skeletons import cached_skeleton

LARGEST_BACKGROUND = 128
"""Levels of a mask above it are foreground."""


class _Task(NamedTuple):
    name: str
    mask: Path
    predictions: tuple[Path, ...]


class _Settings(NamedTuple):
    metrics: tuple[str, ...]
    protocol: str
    normalize: bool
    skeletons: Path | None


def evaluate_folders(
    predictions: str | Path,
    masks: str | Path,
    *,
    mask_suffix: str = "",
    metrics: Sequence[str] = ("paper",),
    protocol: str = "pysodmetrics",
    normalize: bool = True,
    workers: int = 0,
    progress: bool = False,
) -> dict[str, float]:
    """Score a folder of predictions against a folder of masks: the numbers that papers print.

    `compare_folders` gives more: several folders side by side, subfolders, each image, plots.

    Args:
        predictions: Folder of grey maps, each with its mask's name, whatever the extension.
        masks: Folder of masks, read as `read_mask` does.
        mask_suffix: What the masks' names have behind those of the predictions, such as `"_mask"`; other files in
            their folder are passed over.
        metrics: As for `Evaluator`, and so are the next two.
        protocol: `"pysodmetrics"`, or `"dis"`.
        normalize: Whether each prediction is stretched to [0, 1] first.
        workers: Processes beside this one; they change no result. A script that uses some needs
            `if __name__ == "__main__":`.
        progress: Whether to show a bar on a terminal.

    Raises:
        ValueError: A prediction without mask or a mask without prediction, a file that cannot be read; the message
            names it.
    """
    comparison = compare_folders(
        {"predictions": predictions},
        masks,
        mask_suffix=mask_suffix,
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
    metrics: Sequence[str] = ("paper",),
    protocol: str = "pysodmetrics",
    normalize: bool = True,
    allow_missing: bool = False,
    skeletons: str | Path | None = None,
    workers: int = 0,
    progress: bool = False,
) -> Comparison:
    """Score several folders of predictions against the same masks.

    A prediction of another size than its mask is resized to it, bilinearly, as papers do, and counted.

    Args:
        predictions: What to call each folder -> the folder.
        masks: As for `evaluate_folders`, and so are the next four.
        mask_suffix: What masks' names have behind their predictions'.
        metrics: Names and groups of metrics.
        protocol: How they are taken.
        normalize: Whether each prediction is stretched to [0, 1] first.
        allow_missing: Score what has both a mask and a prediction in every folder, and count the rest, in place of
            an error.
        skeletons: Folder that keeps the masks' skeletons for the next time, if HCE is wanted; None keeps none.
        workers: As for `evaluate_folders`, and so is the last.
        progress: Whether to show a bar on a terminal.

    Raises:
        ValueError: No folder of predictions, or what `evaluate_folders` refuses.
    """
    if not predictions:
        raise ValueError("compare_folders needs one folder of predictions or more; got none")
    settings = _Settings(
        Evaluator(metrics=metrics, protocol=protocol, normalize=normalize).metrics,
        protocol,
        normalize,
        None if skeletons is None else Path(skeletons),
    )
    tasks, missing = _tasks(
        [Path(folder) for folder in predictions.values()],
        Path(masks),
        mask_suffix=mask_suffix,
        allow_missing=allow_missing,
    )
    score = functools.partial(_score, settings=settings)
    results = list(
        tqdm(_run(score, tasks, workers), "evaluate", len(tasks), leave=False, disable=None if progress else True)
    )
    return Comparison(
        images=tuple(task.name for task in tasks),
        evaluators={
            name: tuple(evaluators[index] for evaluators, _ in results) for index, name in enumerate(predictions)
        },
        notes=tuple(note for _, notes in results for note in notes) + missing,
        files={
            name: tuple((task.predictions[index], task.mask) for task in tasks)
            for index, name in enumerate(predictions)
        },
    )


def _tasks(
    folders: Sequence[Path], masks: Path, *, mask_suffix: str, allow_missing: bool
) -> tuple[list[_Task], tuple[Note, ...]]:
    """One task for each mask that has a prediction in every folder."""
    wanted = files_by_name(masks, suffix=mask_suffix)
    found = [files_by_name(folder) for folder in folders]
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
            f"{notes[0].message}{more}; allow_missing=True (--allow-missing) scores what has both"
            if names
            else f"no prediction has a mask of its name: {notes[0].message}{more}"
        )
    return [_Task(name, wanted[name], tuple(files[name] for files in found)) for name in names], tuple(notes)


def _run(
    score: functools.partial[tuple[list[Evaluator], list[Note]]], tasks: Sequence[_Task], workers: int
) -> Iterator[tuple[list[Evaluator], list[Note]]]:
    if workers < 0:
        raise ValueError(f"workers must be 0 or more; got {workers}")
    if workers == 0:
        yield from map(score, tasks)
        return
    # spawned: a forked child inherits threads of OpenCV and torch that do not exist in it
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(score, tasks)


def _score(task: _Task, *, settings: _Settings) -> tuple[list[Evaluator], list[Note]]:
    """Score every folder's prediction of one mask."""
    notes: list[Note] = []
    picture = open_image(task.mask)
    mask = (mask_tensor(picture, task.mask, foreground=None)[0].numpy() * 255).round().astype(np.uint8)
    if picture.mode == "L" and picture.getextrema()[1] == 1:
        notes.append(Note("masks of 0 and 1", f"{task.mask} is taken for black and white"))
    skeleton = None
    if "hce" in settings.metrics and settings.skeletons is not None:
        skeleton = cached_skeleton(mask > LARGEST_BACKGROUND, settings.skeletons)
    evaluators = []
    for path in task.predictions:
        prediction, kind = read_prediction(path)
        if kind is not None:
            notes.append(Note(kind, str(path)))
        if prediction.shape != mask.shape:
            sizes = "{1}x{0} pixels, its mask {3}x{2}".format(*prediction.shape, *mask.shape)
            notes.append(Note("predictions resized to their mask", f"{path} is {sizes}"))
            prediction = cv2.resize(prediction, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        evaluator = Evaluator(metrics=settings.metrics, protocol=settings.protocol, normalize=settings.normalize)
        evaluator.update(prediction, mask, name=task.name, skeleton=skeleton)
        evaluators.append(evaluator)
    return evaluators, notes
