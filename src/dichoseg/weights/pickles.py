"""Examine the pickle of a torch file before it is read."""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import IO

MOST_NESTED = 8
"""Deepest nesting of tuples. Hashing one of tuples that hold each other twice takes twice as long with each level."""
_LEGACY_PICKLES = 4


def check_pickle(path: Path) -> None:
    """Raise a ValueError if a torch file holds tuples that are nested so deeply that reading it may never end."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(_LEGACY_PICKLES):  # magic number, protocol, system, content
                _check_nesting(file)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                _check_nesting(io.BytesIO(archive.read(name)))


def _check_nesting(file: IO[bytes]) -> None:
    """Follow a pickle's stack of values, each by its depth of tuples."""
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[object, int] = {}
    for operation, argument, _ in pickletools.genops(file):
        name = operation.name
        if name == "MARK":
            marks.append(len(stack))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            start = len(stack) - len(operation.stack_before)
            if pickletools.markobject in operation.stack_before:
                start = marks.pop() - operation.stack_before.index(pickletools.markobject)
            depth = 1 + max(stack[start:], default=0) if name.startswith("TUPLE") else 0
            if depth > MOST_NESTED or start < 0:
                raise ValueError(f"it holds {depth} tuples in each other")
            del stack[start:]
            stack.extend(depth for _ in operation.stack_after)
