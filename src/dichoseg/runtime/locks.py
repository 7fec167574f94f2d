"""Locks between processes."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

LONGEST_WAIT = 3600.0
"""Longest time to wait for another process that makes the same file, in seconds."""
_held: set[Path] = set()
"""Locks of this process, which may enter each again."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes inside the block; raise a FileExistsError that says who holds it.

    The lock ends with the process, however that ends. Its children, such as the workers of a data loader, do not
    inherit it, unlike those of `filelock`: a run can be resumed at once after a kill. A file system without locks is
    only logged.
    """
    path = folder.resolve() / ".lock"
    if path in _held or os.name == "nt":
        yield
        return
    import fcntl

    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                file.seek(0)
                holder = file.read(200).strip() or "another process"
                raise FileExistsError(f"{folder} is in use by {holder}; wait for its end, or stop it") from None
            logger.warning("no lock for %s (%s): another process that writes there is not noticed", folder, error)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
            path.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(path: Path, *, work: str) -> Iterator[bool]:
    """Let one process at a time make a file, while others wait; give False on a file system without locks.

    Args:
        path: File to make.
        work: Work of the other process, such as "downloads" or "exports", printed while this one waits.

    Raises:
        TimeoutError: Another process takes longer than an hour.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"another process {work} {path.name}; waiting for it", file=sys.stderr)
            lock.acquire(timeout=LONGEST_WAIT)
    except Timeout as error:
        raise TimeoutError(f"another process has held {lock.lock_file} for {LONGEST_WAIT:.0f} s") from error
    except (OSError, NotImplementedError) as error:
        logger.warning("no lock for %s (%s): another process that %s it is not waited for", path, error, work)
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
