"""Errors that a message explains to the user, and mistakes in code."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import TracebackType

LIBRARY = __name__.partition(".")[0]


def explains_itself(error: BaseException) -> bool:
    """Return whether the message of an error is enough for a user.

    It is if dichoseg raised the error by a `raise` of its own, or if a file, memory or a package is missing. Any other
    error, such as torch's about shapes, is a mistake in the code that called it.
    """
    if isinstance(error, OSError | MemoryError | ImportError):
        return True
    steps = list(_steps(error))
    if not steps or module_of(steps[-1]) != LIBRARY:
        return False
    return dis.opname[steps[-1].tb_frame.f_code.co_code[steps[-1].tb_lasti]] == "RAISE_VARARGS"


def modules_in(error: BaseException | None) -> Iterator[str]:
    """Yield the top-level modules that an error, or one behind it, came through, the innermost first."""
    while error is not None:
        yield from map(module_of, reversed(list(_steps(error))))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def module_of(step: TracebackType) -> str:
    """Return the top-level module of a step of a traceback."""
    return str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _steps(error: BaseException) -> Iterator[TracebackType]:
    step = error.__traceback__
    while step is not None:
        yield step
        step = step.tb_next
