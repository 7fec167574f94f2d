"""Atomic writing: a file is written completely or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there; nothing half-written stays.

    The file has the permissions of any that the process makes. An OSError about the temporary one names `path`.
    """
    temporary = path.with_name(f".{secrets.token_hex(6)}")  # short, since a name may be at most 255 bytes
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        permissions = os.fstat(handle).st_mode & 0o777
        os.close(handle)
        try:
            write(temporary)
            temporary.chmod(permissions)  # safetensors puts a file of its own there, for the user alone
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None or (error.filename is not None and str(error.filename) != str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write plain values as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write what `torch.load` gives back, whole or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(content, file)

    with _naming(path, RuntimeError):
        write_atomically(path, write)


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all."""
    with _naming(path, SafetensorError):
        write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata={"format": "pt"}))


@contextmanager
def _naming(path: Path, kind: type[Exception]) -> Iterator[None]:
    """Tell of a full disk in a writer's stead that has no error of its own for it, and names no file."""
    try:
        yield
    except kind as error:
        raise OSError(f"{path} cannot be written whole; is the disk full? ({error})") from error


def check_destination(path: Path) -> None:
    """Raise an OSError that says why no file could be written to `path`; one that is there may be replaced."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; wanted the name of a file")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} to")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}: {path.parent} is a folder that you may not write to")
