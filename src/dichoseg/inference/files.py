"""From folders of photographs to folders of masks and cut-outs."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..data.folder import images_and_others
from ..models.weights.writing import write_atomically
from .cutout import can_estimate_foreground
from .overlap import overlapped
from .predictor import Predictor
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What `predict_files` is to do."""

    remaining: tuple[tuple[Path, Path], ...]
    """Photographs and their results."""
    skipped: int
    passed_over: int
    notes: tuple[str, ...]
    """What is to be told about the folders."""


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
    if predictor.model.preprocessing.source == "mask":
        raise ValueError(
            "this is a GT encoder, which takes masks and is used in training only; wanted a network for photographs"
        )
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more; got {threads}")
    out = Path(out)
    rendering = Rendering(
        cutout=cutout, background=background, format=format, threshold=threshold, crop=crop, threads=threads
    )
    plan = plan_files(sources, out, rendering, resume=resume)
    for note in plan.notes:
        logger.warning("%s", note)
    _make_folder(out)
    if cutout and plan.remaining:
        rendering = _with_or_without_estimate(rendering)

    steps = _steps(predictor, plan.remaining, rendering, threads=threads or min(8, os.cpu_count() or 1))
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
        out=out,
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


def plan_files(sources: Sequence[str | Path], out: Path, rendering: Rendering, *, resume: bool) -> Plan:
    """Find the photographs and their results, and raise what `predict_files` does, before a model is loaded for it."""
    if isinstance(sources, str | Path):
        raise TypeError(f"sources takes a list of paths, such as [{str(sources)!r}]; got {sources!r}")
    if not sources:
        raise ValueError("sources is empty; wanted photographs, or folders of them")
    results: dict[Path, Path] = {}
    passed_over, notes = 0, []
    for source in map(Path, sources):
        if source.is_dir():
            photographs, others, some_notes = _listed(source, out)
            pairs = [(path, path.relative_to(source)) for path in photographs]
            passed_over += len(others)
            notes += some_notes
        elif source.is_file():
            pairs = [(source, Path(source.name))]
        else:
            raise FileNotFoundError(f"no photograph or folder at {source}")
        for path, name in pairs:
            result = out / name.with_suffix(f".{rendering.format}")
            if result in results:
                raise ValueError(f"{results[result]} and {path} would both be written to {result}")
            results[result] = path
    there = {result for result in results if result.is_file()}
    _refuse_to_overwrite(results, set() if resume else there)
    _check_folder(out)
    return Plan(
        remaining=tuple((path, result) for result, path in results.items() if not (resume and result in there)),
        skipped=len(there) if resume else 0,
        passed_over=passed_over,
        notes=tuple(notes),
    )


def _refuse_to_overwrite(results: Mapping[Path, Path], there: Collection[Path]) -> None:
    """Refuse results in the place of their photographs, or of files that may be photographs, lying beside these."""
    read = {path.resolve() for path in results.values()}
    overwritten = sorted(result for result in results if result.resolve() in read)
    if overwritten:
        raise ValueError(
            f"{overwritten[0]} is a photograph that is read and would be overwritten; choose another folder"
        )
    folders = {path.parent.resolve() for path in results.values()}
    beside = sorted(result for result in there if result.parent.resolve() in folders)
    if beside:
        raise ValueError(
            f"{beside[0]} lies beside the photographs, may be one itself, and would be overwritten; "
            "choose another folder, or resume=True (--resume), which leaves it as it is"
        )


def _listed(folder: Path, out: Path) -> tuple[list[Path], list[Path], list[str]]:
    """The photographs below a folder, what is passed over, and what is to be told.

    What is in `out`, if that is one of the folder's subfolders, is neither.
    """
    photographs, others = images_and_others(folder)
    notes = []
    results_folder = out.resolve()
    if folder.resolve() in results_folder.parents:
        count = len(photographs)
        photographs, others = (
            [path for path in paths if not path.parent.resolve().is_relative_to(results_folder)]
            for paths in (photographs, others)
        )
        if len(photographs) < count:
            notes.append(f"{count - len(photographs)} files in {out} are taken for results, not for photographs")
    if others:
        kinds = Counter(map(_kind, others)).most_common()
        counts = ", ".join(f"{kind} ({count})" for kind, count in kinds)
        notes.append(f"{len(others)} passed over in {folder}: {counts}; such as {others[0]}")
    if not photographs:
        raise ValueError("; ".join([f"no photographs in {folder}", *notes]))
    return photographs, others, notes


def _kind(path: Path) -> str:
    """What that is, which is no photograph."""
    if path.is_dir():
        return "links to folders"
    if not path.exists():
        return "links that lead nowhere"
    return f"{path.suffix} files" if path.suffix else "files without an ending"


def _check_folder(out: Path) -> None:
    """Raise an OSError if the folder of the results is none, or cannot be written to, or made."""
    there = next(path for path in (out, *out.absolute().parents) if os.path.exists(path))
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file; wanted a folder for the results")
    if not os.access(there, os.W_OK | os.X_OK):
        wanted = "" if there == out else f"; wanted to make {out} in it, for the results"
        raise PermissionError(f"{there} is a folder that you may not write to{wanted}")


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
