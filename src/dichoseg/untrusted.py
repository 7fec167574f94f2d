"""Files of unknown origin: their limits, and the error for one that cannot be used."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

FACTOR = "DICHOSEG_LIMIT_FACTOR"
"""Environment variable with the factor that raises all limits."""
LIMITS = {
    "pixels of an input's side": 4096,
    "elements per byte of the file": 4,
    "elements besides": 16_000_000,
    "tensors": 10_000,
    "characters of a tensor's name": 300,
    "bytes of a configuration": 1_000_000,
    "levels of a recipe": 12,
    "values in a recipe": 1_000,
    "values in a list of a recipe": 64,
    "characters of a text in a recipe": 1_000,
    "size of an int in a recipe": 65_536,
}
"""Largest values that a file may have. They are far above those of real networks, and bound memory and time."""

_arguments: ContextVar[frozenset[str] | None] = ContextVar("arguments_from_file", default=None)


class UnusableFileError(ValueError):
    """Error for a file that cannot be used: it is damaged, of another kind, beyond a limit, or does not fit.

    The message names the file. Errors of the file system, such as `FileNotFoundError`, remain OSErrors.
    """


def limit(what: str) -> int:
    """Return a limit, times the factor in the environment."""
    text = os.environ.get(FACTOR, "1")
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise RuntimeError(f"{FACTOR} must be a number above 0; got {text!r}")
    return int(LIMITS[what] * factor)


def check_limit(what: str, value: int) -> None:
    """Raise a ValueError if a value is beyond its limit."""
    most = limit(what)
    if value > most:
        raise ValueError(f"too many {what}: {value:.6g}, and the limit is {most:,}; {_advice()}")


def check_elements(count: int, file_bytes: int) -> None:
    """Raise a ValueError if tensors claim many more elements than a file of that size can store."""
    most = limit("elements besides") + limit("elements per byte of the file") * file_bytes
    if count > most:
        raise ValueError(f"it claims {count:,} elements, and a file of its size may have {most:,}; {_advice()}")


def _advice() -> str:
    return f"{FACTOR}=10 in the environment raises all limits tenfold, for a file that you trust"


@contextmanager
def reading(place: str | Path) -> Iterator[None]:
    """Turn errors about a file's content into an UnusableFileError that names it; those of the file system stay."""
    try:
        yield
    except (UnusableFileError, ImportError):
        raise
    except Exception as error:  # a damaged file can fail in any way
        if isinstance(error, OSError) and (error.errno is not None or isinstance(error, FileNotFoundError)):
            raise
        text = (str(error) or type(error).__name__)[:2000]
        raise UnusableFileError(text if str(place) in text else f"{place} cannot be used: {text}") from error


@contextmanager
def arguments_from_file(names: Iterable[str]) -> Iterator[None]:
    """Mark the parts that are made inside the block as made from a file, which gave arguments of these names."""
    token = _arguments.set(frozenset(names))
    try:
        yield
    finally:
        _arguments.reset(token)


def names_from_file() -> frozenset[str] | None:
    """Return the names of the arguments that a file gave; None if no part is made from a file now."""
    return _arguments.get()
