"""The place of an exported file, looked at before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path


def check_destination(path: Path) -> None:
    """Raise an OSError that says why no file could be written to `path`; one that is there may be replaced."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; wanted the name of a file")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} to")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}: {path.parent} is a folder that you may not write to")
