"""Progress of long work: bars on a terminal and in notebooks, lines in logs."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

T = TypeVar("T")

SECONDS = (30.0, 600.0)
"""Shortest and longest time between two lines of a log; in between, a tenth of the time so far."""


def tracked(
    items: Iterable[T],
    name: str,
    total: int,
    *,
    shown: bool,
    start: int = 0,
    unit: str = "steps",
    status: Callable[[], str] = str,
) -> Iterator[T]:
    """Yield the items of long work, and show the progress on standard error.

    On a terminal and in a notebook it is a bar, which vanishes at the end. Elsewhere, as in a log file or a pipe, it is
    a line from time to time, and none for work of less than half a minute.

    Args:
        items: The items.
        name: Name of the work.
        total: Number of items, with those before `start`.
        shown: Whether to show anything.
        start: Number of items that were done before.
        unit: Name of the items, in the plural.
        status: Function that returns a text to show with the progress.
    """
    if not shown:
        yield from items
    elif _is_interactive():
        from tqdm.auto import tqdm

        bar = tqdm(items, name, total, initial=start, leave=False, unit=f" {unit}")
        for item in bar:
            yield item
            bar.set_postfix_str(status(), refresh=False)
    else:
        began = written = time.monotonic()
        for done, item in enumerate(items, start + 1):
            yield item
            now = time.monotonic()
            if done < total and now - written >= min(max(SECONDS[0], (now - began) / 10), SECONDS[1]):
                written = now
                minutes = math.ceil((now - began) / (done - start) * (total - done) / 60)
                _write(", ".join(filter(None, (f"{name}: {done}/{total} {unit}, {minutes} min left", status()))))


def announce(logger: logging.Logger, text: str, *, shown: bool) -> None:
    """Log a line of progress at the level INFO; print it to standard error, if nobody shows the log."""
    logger.info("%s", text)
    if shown and not (logger.isEnabledFor(logging.INFO) and logger.hasHandlers()):
        _write(text)


def above_bars() -> AbstractContextManager[None]:
    """Return a context in which lines are written above the bars, not behind them."""
    from tqdm import tqdm

    context: AbstractContextManager[None] = tqdm.external_write_mode(sys.stderr)
    return context


def _is_interactive() -> bool:
    """Return whether standard error can show a bar."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if "IPKernelApp" in getattr(shell, "config", ()):
        return True
    return sys.stderr is not None and sys.stderr.isatty()


def _write(text: str) -> None:
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)
