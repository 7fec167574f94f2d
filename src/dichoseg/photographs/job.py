"""Prediction of folders of photographs, written as masks or cut-outs."""

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
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from ..inference.predictor import Predictor
from ..runtime.files import write_atomically
from ..runtime.overlap import overlapped
from ..runtime.progress import above_bars, tracked
from .animation import Animation, animation_kind, predict_frames
from .cutout import can_estimate_foreground
from .naming import ENDINGS, STREAM, chosen_format, is_one_file
from .opened import OpenedPhotograph
from .planning import Plan, plan_files
from .rendering import Format, Rendering

logger = logging.getLogger(__name__)

_Files: TypeAlias = tuple[Path, list[Path]]
"""Photograph, and the paths of its results."""
_Prediction: TypeAlias = tuple[OpenedPhotograph, NDArray[np.float32]] | Animation

FAILURES = (OSError, ValueError, MemoryError, torch.OutOfMemoryError)
"""Errors that concern one photograph only."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedFiles:
    """Summary of a `predict_files` run."""

    out: Path | None
    """Folder or file of the results; None is next to the photographs."""
    paths: tuple[Path, ...]
    """Paths of the results written."""
    skipped: int
    """Number of results that already existed, with `resume`."""
    passed_over: int
    """Number of ignored files that Pillow cannot read, such as HEIC, links to folders and broken links; the log lists
    them. Hidden files do not count."""
    failures: tuple[str, ...]
    """Error messages, one per photograph that failed."""
    seconds: float
    """Seconds from the first photograph to the last result."""

    @property
    def written(self) -> int:
        """Number of results written."""
        return len(self.paths)

    def text(self) -> str:
        """Return a one-line summary without the error messages."""
        parts = [f"{self.written} written {f'to {self.out}' if self.out else 'next to the photographs'}"]
        if self.written:
            parts[0] += f", {self.written / self.seconds:.2f} images/s"
        if self.skipped:
            parts.append(f"{self.skipped} skipped (already written)")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        if self.passed_over:
            parts.append(f"{self.passed_over} ignored (not photographs)")
        return "; ".join(parts)

    @staticmethod
    def merged(parts: Sequence[PredictedFiles]) -> PredictedFiles:
        """Return the summary of runs that did the parts of the same photographs at the same time."""
        return PredictedFiles(
            out=parts[0].out,
            paths=tuple(path for part in parts for path in part.paths),
            skipped=sum(part.skipped for part in parts),
            passed_over=sum(part.passed_over for part in parts),
            failures=tuple(message for part in parts for message in part.failures),
            seconds=max(part.seconds for part in parts),
        )


def predict_files(
    predictor: Predictor,
    sources: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    cutout: bool = False,
    both: bool = False,
    background: str | None = None,
    format: Format | None = None,
    resume: bool = False,
    threshold: float | None = None,
    crop: bool = False,
    margin: int = 0,
    quality: int | None = None,
    keep_colors: bool = False,
    drop_exif: bool = False,
    threads: int | None = None,
    part: tuple[int, int] = (0, 1),
    progress: bool = True,
) -> PredictedFiles:
    """Write the mask or the cut-out of each photograph at its native size; one bad file does not stop the rest.

    The network runs in the caller's thread, while other threads read the next photographs and write the last results;
    as many of each are held in memory as there are threads. A result is written completely or not at all, even if the
    run is interrupted. Failures are logged when they happen.

    Args:
        predictor: Prepared model.
        sources: Photographs, or folders of them, whose subfolders are kept; links to folders are not followed. If `out`
            is inside such a folder, the files in `out` are not treated as photographs. `"-"` is standard input.
        out: Folder for the results, created if missing, in which they have the names of their photographs; or, for one
            photograph, a file, or `"-"` for standard output. Default: next to the photographs, as `photo.mask.png` or
            `photo.cutout.png`; these are not treated as photographs later, and a file of that name that dichoseg did
            not write is not replaced.
        cutout: Whether to write the photograph with the mask as its alpha channel, instead of the mask. Its own alpha
            channel is multiplied by the mask. It keeps its RGB color profile, its EXIF and, except in WebP and AVIF,
            its resolution; a GIF keeps none of them. With pymatting (`pip install 'dichoseg[cutout]'`), pixels that are
            partly background get the estimated colors of the foreground, so that no halo remains.
        both: Whether to write masks and cut-outs, as `photo.mask.png` and `photo.cutout.png`; the network runs once.
        background: Color to put behind the cut-out instead of transparency, a name or `#rrggbb`; or the path of a
            picture, which is scaled and cropped to the photograph's size.
        format: `"png"`, `"webp"` (lossless masks, cut-outs with little loss), `"jpg"` (no alpha channel), `"avif"` or
            `"gif"` (256 colors, transparent or opaque). Default: that of the file that `out` names, else PNG, and for
            animations their own. An animation (GIF, WebP or APNG) whose result has its format is animated too; else the
            first frame is used.
        resume: Whether to keep existing results, whatever options they were made with. Otherwise they are replaced.
        threshold: Probability at or above which the mask is white; below, it is black. Default: no threshold.
        crop: Whether to crop results to the smallest rectangle that holds the mask's levels from one twentieth up. A
            result without such levels is not cropped.
        margin: Number of pixels around that rectangle, as far as the photograph has them.
        quality: Quality of lossy formats, 1 to 100. Default: 95; for AVIF, 90, and 100 for masks.
        keep_colors: Whether wholly transparent pixels keep the photograph's colors. Otherwise they are black, so that
            the background is not in the file.
        drop_exif: Whether to leave out the photograph's EXIF: camera, date, place and author. Previews and the camera
            maker's notes are always left out.
        threads: Number of threads for reading and writing, and for estimating colors. Default: one per core, at most 8
            for files.
        part: Index of the part of the photographs to do, and number of parts, such as rank and world size of processes
            that share the photographs, each by one call; `merged` adds up their summaries.
        progress: Whether to show the progress: a bar on a terminal or in a notebook, else a line from time to time.

    Returns:
        Summary of the results and the failures.

    Raises:
        FileNotFoundError: A source does not exist.
        ValueError: `sources` is empty, a folder has no photographs, two sources have the same result, a result would
            replace a source or, without `resume`, a file next to one that dichoseg did not write, options do not go
            together, or the network takes masks. Nothing is written then.
        OSError: A folder cannot be listed, or `out` cannot be created or written to; or the disk is full, in which case
            the results written so far are kept.
    """
    if isinstance(predictor, torch.nn.Module):
        raise TypeError(f"predictor must be a Predictor, as Predictor(model); got a model, {type(predictor).__name__}")
    target = None if out is None else Path(out)
    rendering = Rendering(
        cutout=cutout,
        both=both,
        keep_kind=format is None,
        background=background,
        format=chosen_format(target, format),
        threshold=threshold,
        crop=crop,
        margin=margin,
        quality=quality,
        keep_colors=keep_colors,
        drop_exif=drop_exif,
        threads=threads,
    )
    plan = plan_files(sources, target, rendering, resume=resume, part=part)
    return write_results(predictor, plan, progress=progress)


def write_results(predictor: Predictor, plan: Plan, *, progress: bool = True) -> PredictedFiles:
    """Carry out a plan; return and raise the same as `predict_files`."""
    check_takes_photographs(predictor)
    for note in plan.notes:
        logger.warning("%s", note)
    if plan.out is not None and not is_one_file(plan.out):
        plan.out.mkdir(parents=True, exist_ok=True)
    rendering = plan.rendering
    if (rendering.cutout or rendering.both) and plan.remaining:
        rendering = _with_or_without_estimate(rendering)

    threads = rendering.threads or min(8, os.cpu_count() or 1)
    files: dict[Path, list[Path]] = {}
    for path, result in plan.remaining:
        files.setdefault(path, []).append(result)
    steps = _steps(predictor, list(files.items()), rendering, threads=threads)
    results: list[Path] = []
    failures: list[str] = []
    start = time.perf_counter()
    with contextlib.closing(steps):
        for (path, written), error in tracked(steps, "predict", len(files), shown=progress, unit="images"):
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                raise OSError(
                    error.errno, f"{error.strerror}; results so far are kept; resume continues", str(written[0])
                )
            if error is not None and not _is_failure(error):
                raise error
            if error is None:
                results += written
            else:
                failures.append(_message(path, error))
    return PredictedFiles(
        out=plan.out,
        paths=tuple(results),
        skipped=plan.skipped,
        passed_over=plan.passed_over,
        failures=tuple(failures),
        seconds=time.perf_counter() - start,
    )


def check_takes_photographs(predictor: Predictor) -> None:
    """Raise a ValueError if the network takes masks."""
    if predictor.model.preprocessing.source == "mask":
        raise ValueError(
            "this is a GT encoder, which takes masks and is used in training only; wanted a network for photographs"
        )


def _steps(
    predictor: Predictor, files: Sequence[_Files], rendering: Rendering, *, threads: int
) -> Generator[tuple[_Files, BaseException | None]]:
    """Read, predict and write each photograph; yield as `overlapped` does."""

    def renderings(results: Sequence[Path], format: Format) -> dict[str, Rendering]:
        kinds = rendering.kinds
        if rendering.both:  # of which some may exist already
            kinds = {
                kind: one for kind, one in kinds.items() if any(path.stem.endswith(f".{kind}") for path in results)
            }
        same = all(one.format == format for one in kinds.values())
        return kinds if same else {kind: dataclasses.replace(one, format=format) for kind, one in kinds.items()}

    def read(paths: _Files) -> tuple[_Files, OpenedPhotograph | None]:
        source, (result, *_) = paths
        kind = None if source == STREAM or result == STREAM else animation_kind(source)
        if kind is not None and kind == ENDINGS.get(result.suffix.lower()):
            return paths, None  # its frames are read one by one
        return paths, OpenedPhotograph.read(sys.stdin.buffer.read() if source == STREAM else source)

    def compute(content: tuple[_Files, OpenedPhotograph | None]) -> _Prediction:
        (source, results), photograph = content
        if photograph is not None:
            return photograph, predictor(photograph.pixels)
        return predict_frames(source, predictor, renderings(results, ENDINGS[results[0].suffix.lower()]))

    def write(paths: _Files, prediction: _Prediction) -> None:
        # in memory, because Pillow may not notice that a full disk truncated a file
        results = paths[1]
        if isinstance(prediction, Animation):
            contents = prediction.encoded()
        else:
            contents = [one.encoded(*prediction) for one in renderings(results, rendering.format).values()]
        for result, content in zip(results, contents, strict=True):
            if result == STREAM:
                sys.stdout.buffer.write(content)
                return
            result.parent.mkdir(parents=True, exist_ok=True)
            _write(result, content)

    def log(paths: _Files, error: BaseException) -> None:
        if _is_failure(error):
            with above_bars():
                logger.error("%s", _message(paths[0], error))

    return overlapped(files, read, compute, write, threads=threads, failed=log)


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def _is_failure(error: BaseException) -> bool:
    """Return whether an error stops one photograph only."""
    return isinstance(error, FAILURES) and not (isinstance(error, OSError) and error.errno in NO_SPACE)


def _message(path: Path, error: BaseException) -> str:
    message = str(error) or type(error).__name__
    return message if str(path) in message else f"{path}: {message}"


def _with_or_without_estimate(rendering: Rendering) -> Rendering:
    """Disable the color estimate, with one warning, if pymatting is not installed."""
    if can_estimate_foreground():
        return rendering
    logger.warning(
        "without pymatting, cut-outs keep a rim of their old background; pip install 'dichoseg[cutout]' removes it"
    )
    return dataclasses.replace(rendering, estimate=False)
