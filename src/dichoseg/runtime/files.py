"""Atomic writing: a file is written completely or not at all."""

from __future__ import annotations

import errno
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

ESCAPED = "backslashreplace"
"""Handling of bytes in file names that are not UTF-8, in text files."""


def write_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = False) -> None:
    """Let `write` fill a temporary file next to `path`, then move it there; no partial file remains.

    The file has the default permissions of the process. An OSError about the temporary file names `path` instead.

    Args:
        path: Path of the file.
        write: Function that fills the temporary file.
        durable: Whether to wait until the file is on the disk, so that a power cut leaves this or the former one.
    """
    temporary = path.with_name(f".{secrets.token_hex(6)}")  # short, because a name may have at most 255 bytes
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        permissions = os.fstat(handle).st_mode & 0o777
        os.close(handle)
        try:
            write(temporary)
            temporary.chmod(permissions)  # safetensors replaces it with a file for the user only
            if durable:
                _flush(temporary)
            temporary.replace(path)
            if durable:
                _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None or (error.filename is not None and str(error.filename) != str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _flush(path: Path) -> None:
    """Wait until a file or a folder is on the disk; do nothing on a system that cannot open folders."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without it
            raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write text in UTF-8, completely or not at all; bytes of names that are not UTF-8 become escapes."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8", errors=ESCAPED)

    write_atomically(path, write, durable=durable)


def write_json(path: Path, content: Any) -> None:
    """Write plain values as indented JSON, completely or not at all, also after a power cut."""
    write_text(path, json.dumps(content, indent=2) + "\n", durable=True)


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write content for `torch.load`, completely or not at all, also after a power cut."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(content, file)

    with _naming(path, RuntimeError):
        write_atomically(path, write, durable=True)


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, completely or not at all, also after a power cut."""
    with _naming(path, SafetensorError):
        write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata={"format": "pt"}), durable=True)


@contextmanager
def _naming(path: Path, kind: type[Exception]) -> Iterator[None]:
    """Turn a writer's error that names no file into an OSError that names it and suggests a full disk."""
    try:
        yield
    except kind as error:
        raise OSError(f"{path} cannot be written completely; is the disk full? ({error})") from error


def check_destination(path: Path) -> None:
    """Raise an OSError that says why no file can be written to `path`; an existing file can be replaced."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; wanted the name of a file")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} to")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}: {path.parent} is a folder that you may not write to")
