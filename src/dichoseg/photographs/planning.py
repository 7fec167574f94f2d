"""Plan of a prediction run: the photographs to predict and the paths of their results."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..checking import whole
from ..data.finding import images_and_others
from ..data.formats import HEIF_ADVICE, lacks_heif
from ..data.results import is_result, is_written_by_dichoseg
from .naming import STREAM, is_one_file, result_path
from .rendering import Rendering


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Plan of a `predict_files` run."""

    out: Path | None
    """Folder or file of the results; None is next to the photographs."""
    rendering: Rendering
    """Options for the results."""
    remaining: tuple[tuple[Path, Path], ...]
    """Pairs of photograph and result that remain to be done."""
    skipped: int
    """Number of results that already exist, with `resume`."""
    passed_over: int
    """Number of ignored files and links, as in `PredictedFiles`."""
    notes: tuple[str, ...]
    """Messages about the folders, to be logged."""


def plan_files(
    sources: Sequence[str | Path],
    out: Path | None,
    rendering: Rendering,
    *,
    resume: bool,
    part: tuple[int, int] = (0, 1),
) -> Plan:
    """Find the photographs and the paths of their results, without writing anything or using a model.

    Parts are made of all photographs, done or not, so that they do not depend on when each is planned. The ignored
    files, and the messages, belong to the first.
    """
    index, parts = whole("part", part[0]), whole("part", part[1], least=1)
    if index >= parts:
        raise ValueError(f"part must be (index, number of parts), with an index below the number; got {part}")
    if isinstance(sources, str | Path):
        raise TypeError(f"sources takes a list of paths, such as [{str(sources)!r}]; got {sources!r}")
    if not sources:
        raise ValueError("sources is empty; wanted photographs, or folders of them")
    paths = [Path(source) for source in sources]
    _check_single(paths, out)
    if paths == [STREAM] and out is None:
        out = STREAM
    if rendering.both and is_one_file(out):
        raise ValueError(f"both=True writes two files for a photograph; got the one file {out}: choose a folder")
    found: list[tuple[Path, Path]] = []
    passed_over, notes = 0, []
    for source in paths:
        if source.is_dir():
            photographs, others, some_notes = _listed(source, out)
            found += [(path, path.relative_to(source)) for path in photographs]
            passed_over += len(others)
            notes += some_notes
        elif source == STREAM or source.is_file():
            found.append((source, Path(source.name)))
        else:
            raise FileNotFoundError(_missing(source, is_second=paths[1:] == [source]))
    results = _results(found, out, rendering)
    there = {result for result in results if result.is_file()}
    _refuse_to_overwrite(results, set() if resume or is_one_file(out) else there)
    folders = {result.parent for result in results if result != STREAM}
    for folder in folders if out is None or is_one_file(out) else {out}:
        _check_folder(folder)
    own = set([*dict.fromkeys(results.values())][index::parts])
    done = there if resume else set()
    return Plan(
        out=out,
        rendering=rendering,
        remaining=tuple((path, result) for result, path in results.items() if path in own and result not in done),
        skipped=sum(results[result] in own for result in done),
        passed_over=passed_over if index == 0 else 0,
        notes=tuple(notes) if index == 0 else (),
    )


def _missing(source: Path, *, is_second: bool) -> str:
    """Return the message for a path at which nothing is; an address has lost slashes as a path."""
    address = re.fullmatch(r"([a-z][a-z0-9+.-]+):/(.*)", str(source))  # and no drive of Windows
    if address:
        slashes = ":///" if address[1] == "file" else "://"
        return f"{address[1]}{slashes}{address[2]} is an address; wanted a photograph or folder on this machine"
    result = f"; out='{source}' would write the result there" if is_second and is_one_file(source) else ""
    return f"no photograph or folder at {source}{result}"


def _results(found: Sequence[tuple[Path, Path]], out: Path | None, rendering: Rendering) -> dict[Path, Path]:
    """Return result -> photograph; the ending stays in the names of results that would be the same without it."""
    named = [(path, name, kind) for path, name in found for kind in rendering.kinds]
    plain = [result_path(path, name, out, rendering, kind=kind) for path, name, kind in named]
    counts = Counter(plain)
    results: dict[Path, Path] = {}
    for (path, name, kind), result in zip(named, plain, strict=True):
        if counts[result] > 1:
            result = result_path(path, name, out, rendering, kind=kind, keep_ending=True)
        if result in results:
            raise ValueError(f"{results[result]} and {path} would both be written to {result}")
        results[result] = path
    return results


def _check_single(sources: Sequence[Path], out: Path | None) -> None:
    """Raise a ValueError if several photographs would share one file, or standard input has no name for its result."""
    others = [source for source in sources if source != STREAM]
    if others and len(others) < len(sources):
        raise ValueError(f"'-' is one photograph, from standard input; got {others[0]} as well")
    if is_one_file(out) and (len(sources) > 1 or sources[0].is_dir()):
        got = f"the folder {sources[0]}" if len(sources) == 1 else f"{len(sources)} paths"
        raise ValueError(f"{out} takes the result of one photograph; got {got}: choose a folder for the results")
    if not others and out is not None and not is_one_file(out):
        raise ValueError(f"a photograph from standard input has no name for a result in {out}; choose a file, or '-'")


def _refuse_to_overwrite(results: Mapping[Path, Path], there: Collection[Path]) -> None:
    """Raise a ValueError if a result would replace a photograph, or a file next to one that may be a photograph."""
    read = {path.resolve() for path in results.values() if path != STREAM}
    overwritten = sorted(result for result in results if result.resolve() in read)
    if overwritten:
        raise ValueError(
            f"{overwritten[0]} is a photograph that is read and would be overwritten; choose another folder"
        )
    folders = {path.parent.resolve() for path in results.values()}
    neighbors = sorted(
        result for result in there if result.parent.resolve() in folders and not is_written_by_dichoseg(result)
    )
    if neighbors:
        raise ValueError(
            f"{neighbors[0]} was not written by dichoseg, and would be overwritten; "
            "choose another folder, or resume=True, which keeps it"
        )


def _listed(folder: Path, out: Path | None) -> tuple[list[Path], list[Path], list[str]]:
    """Return the photographs below a folder, the ignored files and links, and messages about them.

    Results of earlier runs are in neither list: files in `out`, if it is below the folder, and those next to their
    photographs or in the same folder.
    """
    photographs, others = images_and_others(folder)
    notes = []
    if out is not None and folder.resolve() in out.resolve().parents:
        count = len(photographs)
        photographs, others = (
            [path for path in paths if not path.parent.resolve().is_relative_to(out.resolve())]
            for paths in (photographs, others)
        )
        if len(photographs) < count:
            notes.append(f"{count - len(photographs)} files in {out} are treated as results, not as photographs")
    shared = out is not None and out.resolve() == folder.resolve()  # with names like those of photographs
    results = set(filter(is_written_by_dichoseg if shared else is_result, photographs))
    if results:
        photographs = [path for path in photographs if path not in results]
        notes.append(f"{len(results)} files in {folder} are masks or cut-outs by dichoseg, not photographs")
    if others:
        kinds = Counter(map(_kind, others)).most_common()
        counts = ", ".join(f"{kind} ({count})" for kind, count in kinds)
        advice = f"; {HEIF_ADVICE}" if any(map(lacks_heif, others)) else ""
        notes.append(f"{len(others)} ignored in {folder}: {counts}; such as {others[0]}{advice}")
    if not photographs:
        raise ValueError("; ".join([f"no photographs in {folder}", *notes]))
    return photographs, others, notes


def _kind(path: Path) -> str:
    """Return the kind of a path that is not a photograph, for a message."""
    if path.is_dir():
        return "links to folders"
    if not path.exists():
        return "broken links"
    return f"{path.suffix} files" if path.suffix else "files without an extension"


def _check_folder(out: Path) -> None:
    """Raise an OSError if `out` is not a folder, or cannot be created or written to."""
    there = next(path for path in (out, *out.absolute().parents) if os.path.exists(path))
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file; wanted a folder for the results")
    if not os.access(there, os.W_OK | os.X_OK):
        wanted = "" if there == out else f"; wanted to make {out} in it, for the results"
        raise PermissionError(f"{there} is a folder that you may not write to{wanted}")
