"""Places of downloaded weights on this machine, and their checksums. Importable without torch."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path

from ..records import HUB_ADDRESS, Weights

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of dichoseg's downloads: `$DICHOSEG_HOME`, else `$XDG_CACHE_HOME/dichoseg`, else in the home.

    Raises:
        FileNotFoundError: The user has no home folder, and neither variable is set.
    """
    if own := os.environ.get("DICHOSEG_HOME"):
        return Path(own).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "dichoseg"
    except RuntimeError as error:
        raise FileNotFoundError("no home folder for downloads: set DICHOSEG_HOME to a folder") from error


def own_path(record: Weights) -> Path:
    """Return the place of a file in dichoseg's cache: `weights/CHECKSUM/FILE`, laid out as a mirror is."""
    return cache_folder() / "weights" / record.checksum[1] / record.file


def hub_paths(record: Weights) -> list[Path]:
    """Return the places of a file in the cache of the Hugging Face hub."""
    from huggingface_hub.constants import HF_HUB_CACHE

    found = filter(None, map(HUB_ADDRESS.fullmatch, record.addresses))
    return [
        Path(HF_HUB_CACHE, f"models--{at['repo'].replace('/', '--')}", "snapshots", at["revision"], at["file"])
        for at in found
    ]


def is_cached(record: Weights) -> bool:
    """Return whether a file of the record's size is on this machine, without reading it."""
    return any(
        path.is_file() and record.bytes in (None, path.stat().st_size)
        for path in (own_path(record), *hub_paths(record))
    )


def cached(record: Weights, *, verify: bool = False) -> Path | None:
    """Return the file of a record on this machine, or None.

    A file is hashed when it is first seen; afterwards its size is compared. One that the user has put into dichoseg's
    cache is never replaced.

    Args:
        record: The record.
        verify: Whether to hash the file in any case.

    Raises:
        ValueError: The file in dichoseg's cache has other contents.
    """
    own = own_path(record)
    for path in (own, *hub_paths(record)):
        if not path.is_file():
            continue
        if not verify and _is_marked(record, path):
            return path
        fault = mismatch(record, path)
        if fault is None:
            mark(record, path)
            return path
        with contextlib.suppress(OSError):
            _marker(record, path).unlink(missing_ok=True)
        if path == own:
            raise ValueError(f"{path} is not {record.name}: {fault}; it is left as it is: remove it or move it away")
        logger.warning("%s is not %s: %s", path, record.name, fault)
    return None


def mismatch(record: Weights, path: Path) -> str | None:
    """Return how the checksum of a file differs from its record's, or None."""
    algorithm, expected = record.checksum
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    if found == expected:
        return None
    return f"expected {algorithm} {expected}, got {found} of {path.stat().st_size} bytes"


def mark(record: Weights, path: Path) -> None:
    """Note that a file was hashed and is right, if the cache can be written."""
    marker = _marker(record, path)
    with contextlib.suppress(OSError):
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(_note(path))


def remove(record: Weights) -> list[Path]:
    """Remove the files of a record from both caches, and return those that were there."""
    removed = [path for path in (own_path(record), *hub_paths(record)) if path.is_file()]
    for path in removed:
        remove_file(path)
        _marker(record, path).unlink(missing_ok=True)
    part_of(own_path(record)).unlink(missing_ok=True)
    return removed


def remove_file(path: Path) -> None:
    """Remove a file, also the one that a link of the hub's cache leads to."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Return the name of a partial download."""
    return path.with_name(f"{path.name}.part")


def _is_marked(record: Weights, path: Path) -> bool:
    try:
        return _marker(record, path).read_text() == _note(path)
    except OSError:
        return False


def _marker(record: Weights, path: Path) -> Path:
    own = own_path(record)
    return own.with_name(f"{own.name}.checked" if path == own else f"{own.name}.hub.checked")


def _note(path: Path) -> str:
    return f"{path.stat().st_size} bytes\n"
