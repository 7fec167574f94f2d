"""Graceful stop on Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ECHO = 2.0
"""Seconds within which a second signal counts as an echo of the first."""


class _StopRequest:
    """Signal handler that records a stop request and forwards it to the previous handler."""

    def __init__(self) -> None:
        self.since: float | None = None
        found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # None is a handler installed from C, such as a launcher's: it could not be restored
        self.before: dict[int, Any] = {number: handler for number, handler in found.items() if handler is not None}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        outer = self.before[number]
        if isinstance(outer, _StopRequest):
            outer(number, frame)
        elif self.since is not None and now - self.since > ECHO:
            signal.signal(number, outer)
            signal.raise_signal(number)
        self.since = now if self.since is None else self.since

    def asked(self) -> bool:
        return self.since is not None


@contextmanager
def stoppable(enabled: bool) -> Iterator[Callable[[], bool]]:
    """Treat the first Ctrl-C or SIGTERM as a stop request; yield a function that returns whether one came.

    A second signal has its previous effect, unless it comes within `ECHO` seconds: a launcher forwards signals that its
    processes have already received. Outside the main thread, the only one that receives signals, nothing changes.
    """
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    request = _StopRequest()
    for number in request.before:
        signal.signal(number, request)
    try:
        yield request.asked
    finally:
        for number, handler in request.before.items():
            signal.signal(number, handler)
