"""Worker processes that start anew, by spawn or forkserver, and import the script that started them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

NO_GUARD = 71
"""Exit code of a worker that ran a script instead of importing it."""


def leave_if_importing() -> None:
    """End this process if it is a worker that runs the script of its parent, because the script has no main guard.

    The parent sees the exit code, and says so; here, the error of multiprocessing would be a long traceback.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(NO_GUARD)


@contextmanager
def explained_start(content: object) -> Iterator[None]:
    """Say in one sentence why workers that get `content` cannot be started in the block."""
    method = multiprocessing.get_start_method()
    try:
        yield
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        what = None if method == "fork" else _not_picklable(content)
        if what is None:
            raise
        raise TypeError(
            f"workers are started by {method} here, which pickles {what}, and that fails ({error}); use functions and "
            "classes from the top level of a module, no lambda, or workers=0"
        ) from error
    except (EOFError, ConnectionError) as error:  # the fork server has ended
        if method == "fork":
            raise
        raise RuntimeError(_no_guard(method)) from error


def explain_end(error: RuntimeError, workers: Sequence[Any]) -> RuntimeError:
    """Return an error that says why workers ended at their start, or the error as it is."""
    method = multiprocessing.get_start_method()
    codes = {worker.exitcode for worker in workers}
    if NO_GUARD in codes:
        return RuntimeError(_no_guard(method))
    if 1 in codes and method != "fork":
        return RuntimeError(
            f"a worker, started by {method}, could not import what it needs, as its own error says; what is defined in "
            "a notebook, or typed in, has to move to a module, or use workers=0"
        )
    return error


def _no_guard(method: str) -> str:
    return (
        f"workers are started by {method} here, and import the script: put its code, from the data sets on, below "
        "`if __name__ == '__main__':`, or use workers=0"
    )


def _not_picklable(content: object, name: str = "") -> str | None:
    """Return the innermost attribute of an object that cannot be pickled, as a path; None if there is none."""
    try:
        pickle.dumps(content)
    except Exception:
        for key, value in getattr(content, "__dict__", {}).items():
            inner = _not_picklable(value, f"{type(content).__name__}.{key}")
            if inner is not None:
                return inner
        return name or type(content).__name__
    return None
