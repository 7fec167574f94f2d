"""Worker processes that start anew, by spawn or forkserver, and import the script that started them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

NO_GUARD = 71
"""Exit code of a worker that would run a script instead of importing it."""


def leave_if_importing() -> None:
    """End this process if it is a worker that runs the script of its parent, which has no main guard.

    The parent sees the exit code, and says so; multiprocessing's own error would be a long traceback here.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(NO_GUARD)


@contextmanager
def explained_start(content: object) -> Iterator[None]:
    """Say in one sentence why workers that get `content` cannot be started in the block."""
    try:
        yield
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        method = multiprocessing.get_start_method()
        what = None if method == "fork" else _not_picklable(content)
        if what is None:
            raise
        raise TypeError(
            f"workers, which are started by {method} here, cannot get {what} ({error}); use functions and classes of "
            "the top level of a module, no lambda, or workers=0"
        ) from None
    except (EOFError, ConnectionError) as error:  # the fork server has ended
        raise explained_end(RuntimeError(str(error)), [NO_GUARD]) from None


def explained_end(error: RuntimeError, codes: Sequence[int | None]) -> RuntimeError:
    """Return an error that says why workers ended with these exit codes; if it is unknown, the error as it is."""
    method = multiprocessing.get_start_method()
    if NO_GUARD in codes:
        return RuntimeError(
            f"workers, which are started by {method} here, import the script: put its own code below "
            "`if __name__ == '__main__':`, or use workers=0"
        )
    if 1 in codes and method != "fork":
        return RuntimeError(
            f"a worker, which was started by {method}, could not import its code, as its own error above says: "
            "move definitions from a notebook or an interpreter to a module, or use workers=0"
        )
    return error


def _not_picklable(content: object, name: str = "") -> str | None:
    """Return the innermost attribute of an object that cannot be pickled, as a path; None if there is none."""
    try:
        pickle.dumps(content)
    except Exception:
        inner = (_not_picklable(value, f"{type(content).__name__}.{key}") for key, value in _attributes(content))
        return next(filter(None, inner), name or type(content).__name__)
    return None


def _attributes(content: object) -> list[tuple[str, object]]:
    return [*getattr(content, "__dict__", {}).items()] if not callable(content) else []
