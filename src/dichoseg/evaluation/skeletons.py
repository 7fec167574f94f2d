"""Cache of mask skeletons on disk, by content: HCE's slowest step, the same for every model on one data set."""

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
"""Part of each file's name; changes with the algorithm."""


def default_cache() -> Path:
    """Return the default folder of cached skeletons: below `$XDG_CACHE_HOME`, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dichoseg" / "skeletons"


def cached_skeleton(mask: NDArray[np.bool_], folder: Path) -> NDArray[np.bool_]:
    """Return the skeleton of a mask (H, W) from the folder, or compute it and store it there.

    Files are named by a hash of the mask's pixels and shape, and written atomically, so that any number of processes
    can share a folder. If a file cannot be read, the skeleton is computed again; if it cannot be written, such as in a
    read-only home, it is not stored.
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
