"""From folders of photographs to folders of masks and cut-outs."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..inference.predictor import Predictor
from ..runtime.files import write_atomically
from ..runtime.overlap import overlapped
from .cutout import can_estimate_foreground
from .planning import Plan, plan_files
from .rendering import Format, OpenedPhotograph, Rendering

logger = logging.getLogger(__name__)

FAILURES = (OSError, ValueError, MemoryError, torch.OutOfMemoryError)
"""What may be wrong with one photograph alone."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedFiles:
    """What `predict_files` did."""

    out: Path
    """The folder of the results."""
    written: int
    """Number of results written."""
    skipped: int
    """Number of results that were there, with `resume`."""
    passed_over: int
    """Number of files in the folders that are none Pillow has a reader for, such as HEIC, and of links to folders and
    to nowhere; the log says which. Hidden files do not count."""
    failures: tuple[str, ...]
    """What went wrong, one message per photograph."""
    seconds: float
    """From the first photograph to the last result."""

    def text(self) -> str:
        """A line that says all of it but the messages."""
        parts = [f"{self.written} written to {self.out}"]
        if self.written:
            parts[0] += f", {self.written / self.seconds:.2f} images/s"
        if self.skipped:
            parts.append(f"{self.skipped} skipped that were there")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        if self.passed_over:
            parts.append(f"{self.passed_over} passed over that are no photographs")
        return "; ".join(parts)


def predict_files(
    predictor: Predictor,
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    cutout: bool = False,
    background: str | None = None,
    format: Format = "png",
    resume: bool = False,
    threshold: float | None = None,
    crop: bool = False,
    threads: int | None = None,
) -> PredictedFiles:
    """Write the mask or the cut-out of each photograph, at its size; one bad file does not stop the rest.

    While the network computes, in the thread of the caller, other threads read the next photographs and write the
    last results; so many of each are held in memory as there are threads. A result is written whole or not at all,
    also where this is interrupted. What fails is logged when it does.

    Args:
        predictor: A prepared model.
        sources: Photographs, or folders of them, whose subfolders are kept; links to folders are not followed. Where
            `out` is in such a folder, what is in `out` is no photograph.
        out: Folder for the results, made if it is not there. They have the names of their photographs.
        cutout: Write the photograph with the mask as its alpha channel in place of the mask. It keeps its RGB colour
            profile and, but in WebP, its resolution. With pymatting (`pip install 'dichoseg[cutout]'`), pixels that
            are partly background get the estimated colours of the foreground, so that no halo remains.
        background: Put the cut-out on this colour instead, a name or `#rrggbb`.
        format: `"png"`, `"webp"` (masks without loss, cut-outs with little) or `"jpg"` (no alpha channel).
        resume: Leave results that are there as they are, whatever options they were made with. Otherwise they are
            made anew.
        threshold: Make the mask black and white: white where the probability is this or more.
        crop: Leave of a result the smallest rectangle that holds the mask's levels from one twentieth up; all of it
            where there are none.
        threads: For reading and writing, and so many for the estimated colours. Default: one for each core, at most 8
            for files.

    Returns:
        What was done, and what went wrong.

    Raises:
        FileNotFoundError: A source that is not there.
        ValueError: No sources, a folder without photographs, two sources with one result, a result in the place of a
            source or, but with `resume`, of a file that lies beside one, options that do not go together, or a
            network that takes masks; nothing is written then.
        OSError: A folder cannot be listed, `out` cannot be made or written to; or the disk is full, when what is
            written stays.
    """
    rendering = Rendering(
        cutout=cutout, background=background, format=format, threshold=threshold, crop=crop, threads=threads
    )
    return write_results(predictor, plan_files(sources, Path(out), rendering, resume=resume))


def write_results(predictor: Predictor, plan: Plan) -> PredictedFiles:
    """Do what is planned; returns and raises what `predict_files` does."""
    if predictor.model.preprocessing.source == "mask":
        raise ValueError(
            "this is a GT encoder, which takes masks and is used in training only; wanted a network for photographs"
        )
    for note in plan.notes:
        logger.warning("%s", note)
    _make_folder(plan.out)
    rendering = plan.rendering
    if rendering.cutout and plan.remaining:
        rendering = _with_or_without_estimate(rendering)

    threads = rendering.threads or min(8, os.cpu_count() or 1)
    steps = _steps(predictor, plan.remaining, rendering, threads=threads)
    failures = []
    start = time.perf_counter()
    bar = tqdm(steps, "predict", len(plan.remaining), unit=" images", leave=False, disable=None)
    with contextlib.closing(steps):
        for (path, result), error in bar:
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                raise OSError(error.errno, f"{error.strerror}; what is written stays, and resume goes on", str(result))
            if error is not None and not _is_failure(error):
                raise error
            if error is not None:
                failures.append(_message(path, error))
    return PredictedFiles(
        out=plan.out,
        written=len(plan.remaining) - len(failures),
        skipped=plan.skipped,
        passed_over=plan.passed_over,
        failures=tuple(failures),
        seconds=time.perf_counter() - start,
    )


def _steps(
    predictor: Predictor, files: Sequence[tuple[Path, Path]], rendering: Rendering, *, threads: int
) -> Generator[tuple[tuple[Path, Path], BaseException | None]]:
    """Make each result of its photograph, as `overlapped` does."""

    def read(paths: tuple[Path, Path]) -> OpenedPhotograph:
        return OpenedPhotograph.read(paths[0])

    def compute(photograph: OpenedPhotograph) -> tuple[OpenedPhotograph, NDArray[np.float32]]:
        return photograph, predictor(photograph.pixels)

    def write(paths: tuple[Path, Path], prediction: tuple[OpenedPhotograph, NDArray[np.float32]]) -> None:
        # in memory, since Pillow may take a file that a full disk cut short for whole
        content = rendering.encoded(*prediction)
        paths[1].parent.mkdir(parents=True, exist_ok=True)
        write_atomically(paths[1], lambda temporary: temporary.write_bytes(content))

    def log(paths: tuple[Path, Path], error: BaseException) -> None:
        if _is_failure(error):
            with tqdm.external_write_mode(sys.stderr):  # or the line would be put behind the bar
                logger.warning("%s", _message(paths[0], error))

    return overlapped(files, read, compute, write, threads=threads, failed=log)


def _is_failure(error: BaseException) -> bool:
    """Whether this stops one photograph alone."""
    return isinstance(error, FAILURES) and not (isinstance(error, OSError) and error.errno in NO_SPACE)


def _message(path: Path, error: BaseException) -> str:
    message = str(error) or type(error).__name__
    return message if str(path) in message else f"{path}: {message}"


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(f"{out} cannot be made: {error.strerror}; wanted a folder for the results") from error


def _with_or_without_estimate(rendering: Rendering) -> Rendering:
    """Estimate colours if pymatting is there; otherwise say once that it is not."""
    if can_estimate_foreground():
        return rendering
    logger.warning(
        "without pymatting, cut-outs keep a rim of their old background; pip install 'dichoseg[cutout]' removes it"
    )
    return dataclasses.replace(rendering, estimate=False)
