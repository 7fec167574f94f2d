"""Skeletons of masks on disk, by content: HCE's slowest step, the same for every model on one set."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..metrics.thinning import skeleton
from ..runtime.files import write_atomically

VERSION = 1
"""Part of each file's name; another algorithm would get another number."""


def default_cache() -> Path:
    """Where skeletons are kept unless somebody says otherwise: below `$XDG_CACHE_HOME`, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dichoseg" / "skeletons"


def cached_skeleton(mask: NDArray[np.bool_], folder: Path) -> NDArray[np.bool_]:
    """The skeleton of a mask (H, W), from the folder where it is there, else computed and kept there.

    A file is named after the mask's pixels and shape, and is written whole or not at all, so that any number of
    processes may share a folder. One that cannot be read is computed anew, and one that cannot be written, such as in a
    home that is read-only, is not kept.
    """
    digest = hashlib.blake2b(repr((VERSION, mask.shape)).encode(), digest_size=16)
    digest.update(np.packbits(mask).data)
    path = folder / f"{digest.hexdigest()}.npy"
    try:
        bits = np.load(path)
        return np.unpackbits(bits, count=mask.size).reshape(mask.shape).astype(bool)
    except (OSError, ValueError, EOFError):
        thin = skeleton(mask)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, np.packbits(thin))

    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write)
    return thin
