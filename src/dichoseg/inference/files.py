"""From folders of photographs to folders of masks and cut-outs."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..data.folder import image_files
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
    also where this is interrupted.

    Args:
        predictor: A prepared model.
        sources: Photographs, or folders of them, whose subfolders are kept. Where `out` is in such a folder, what is
            in `out` is no photograph.
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
        threads: For reading and writing. Default: one for each core, at most 8.

    Returns:
        What was done, and what went wrong.

    Raises:
        FileNotFoundError: A source that is not there.
        ValueError: A folder without photographs, two sources with one result, a result in the place of a source,
            options that do not go together, or a network that takes masks; nothing is written then.
        OSError: `out` cannot be made or written to; or the disk is full, when what is written stays.
    """
    if predictor.model.preprocessing.source == "mask":
        raise ValueError(
            "this is a GT encoder, which takes masks and is used in training only; wanted a network for photographs"
        )
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more; got {threads}")
    rendering = Rendering(cutout=cutout, background=background, format=format, threshold=threshold, crop=crop)
    out = Path(out)
    results = _results(sources, out, f".{format}")
    _prepare_folder(out)
    remaining = [(path, result) for result, path in results.items() if not (resume and result.is_file())]
    if cutout and remaining:
        rendering = _with_or_without_estimate(rendering)

    steps = _steps(predictor, remaining, rendering, threads=threads or min(8, os.cpu_count() or 1))
    failures = []
    start = time.perf_counter()
    with contextlib.closing(steps):
        for (path, result), error in tqdm(steps, "predict", len(remaining), unit=" images", leave=False, disable=None):
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                raise OSError(error.errno, f"{error.strerror}; what is written stays, and resume goes on", str(result))
            if isinstance(error, FAILURES):
                message = str(error) or type(error).__name__
                failures.append(message if str(path) in message else f"{path}: {message}")
            elif error is not None:
                raise error
    return PredictedFiles(
        out=out,
        written=len(remaining) - len(failures),
        skipped=len(results) - len(remaining),
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
        content = rendering.encoded(
            *prediction
        )  # in memory: Pillow may take a file that a full disk cut short for whole
        paths[1].parent.mkdir(parents=True, exist_ok=True)
        write_atomically(paths[1], lambda temporary: temporary.write_bytes(content))

    return overlapped(files, read, compute, write, threads=threads)


def _results(sources: Sequence[str | Path], out: Path, suffix: str) -> dict[Path, Path]:
    """Each result's path, with that of its photograph."""
    if isinstance(sources, str | Path):
        raise TypeError(f"sources takes a list of paths, such as [{str(sources)!r}]; got {sources!r}")
    results: dict[Path, Path] = {}
    for source in map(Path, sources):
        if source.is_dir():
            pairs = [(path, path.relative_to(source)) for path in _photographs(source, out)]
        elif source.is_file():
            pairs = [(source, Path(source.name))]
        else:
            raise FileNotFoundError(f"no photograph or folder at {source}")
        for path, name in pairs:
            result = out / name.with_suffix(suffix)
            if result in results:
                raise ValueError(f"{results[result]} and {path} would both be written to {result}")
            results[result] = path
    read = {path.resolve() for path in results.values()}
    overwritten = sorted(result for result in results if result.resolve() in read)
    if overwritten:
        raise ValueError(
            f"{overwritten[0]} is a photograph that is read and would be overwritten; choose another folder"
        )
    return results


def _photographs(folder: Path, out: Path) -> list[Path]:
    """The photographs below a folder; not what is in `out`, if that is one of its subfolders."""
    paths = image_files(folder)
    if folder.resolve() in out.resolve().parents:
        beside = [path for path in paths if out.resolve() not in path.resolve().parents]
        if len(beside) < len(paths):
            logger.warning("%d files in %s are taken for results, not for photographs", len(paths) - len(beside), out)
        paths = beside
    if not paths:
        raise ValueError(f"no photographs in {folder}")
    return paths


def _prepare_folder(out: Path) -> None:
    """Make the folder of the results; an OSError says why nothing could be written to it."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file; wanted a folder for the results")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise PermissionError(f"{out} is a folder that you may not write to")


def _with_or_without_estimate(rendering: Rendering) -> Rendering:
    """Estimate colours if pymatting is there; otherwise say once that it is not."""
    if can_estimate_foreground():
        return rendering
    logger.warning(
        "without pymatting, cut-outs keep a rim of their old background; pip install 'dichoseg[cutout]' removes it"
    )
    return dataclasses.replace(rendering, estimate=False)
