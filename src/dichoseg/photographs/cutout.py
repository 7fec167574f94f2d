"""From a photograph and its mask to the foreground alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageColor

from ..runtime.threads import torch_threads

Colour: TypeAlias = tuple[int, int, int]
Box: TypeAlias = tuple[int, int, int, int]

VISIBLE = 13
"""Fainter levels of a mask, below one twentieth, do not count for its bounding box: networks leave specks of them."""

_ESTIMATING = threading.Lock()
"""Numba's simplest threading layer, which it takes where there is no OpenMP, ends the process if two threads use it."""


def cut_out(
    photograph: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    *,
    background: Colour | None = None,
    estimate: bool = True,
    threads: int | None = None,
) -> PillowImage.Image:
    """Cut the foreground out of a photograph.

    Args:
        photograph: (H, W, 3), RGB.
        mask: (H, W), 255 being foreground.
        background: What to put behind the foreground. Default: nothing.
        estimate: Whether to replace the colours of pixels that are partly background, as `estimate_foreground` does;
            otherwise they keep those of the photograph, and its background remains around fine structures as a halo.
        threads: For the estimate, as in `estimate_foreground`.

    Returns:
        RGBA with the mask as alpha; with a background, RGB.
    """
    alpha = PillowImage.fromarray(mask)
    colours = estimate_foreground(photograph, mask, threads=threads) if estimate else photograph
    foreground = PillowImage.fromarray(colours)
    if background is None:
        foreground.putalpha(alpha)
        return foreground
    return PillowImage.composite(foreground, PillowImage.new("RGB", alpha.size, background), alpha)


def estimate_foreground(
    photograph: NDArray[np.uint8], mask: NDArray[np.uint8], *, threads: int | None = None
) -> NDArray[np.uint8]:
    """Estimate the colours of the foreground alone, (H, W, 3), where pixels of the photograph mix it with background.

    By pymatting, after Germer et al. (arXiv:2006.14970). Where the mask is 0, they go on smoothly. It takes about
    0.1 s and 100 MB a megapixel, and half a minute the very first time, when it is compiled. A mask that holds no
    edge leaves the photograph as it is.

    Args:
        photograph: (H, W, 3), RGB.
        mask: (H, W), 255 being foreground.
        threads: At most so many. Default: numba's number, one for each core.

    Raises:
        ImportError: pymatting is not installed.
    """
    pymatting = _load_pymatting()
    if mask.min() == mask.max():  # and its pyramid needs two pixels
        return photograph
    with _ESTIMATING, _numba_threads(threads):
        colours = pymatting.estimate_foreground_ml(photograph.astype(np.float32) / 255, mask.astype(np.float32) / 255)
    return (colours * 255).round().astype(np.uint8)


def _load_pymatting() -> Any:
    """Import pymatting: numba then starts its threads, and where these are OpenMP's, torch would get as many."""
    with torch_threads():
        import pymatting
    return pymatting


@contextmanager
def _numba_threads(count: int | None) -> Iterator[None]:
    """Let pymatting's kernels, which numba compiles, use at most so many threads, and afterwards as many as before."""
    if count is None:
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(count, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def can_estimate_foreground() -> bool:
    """Whether pymatting is installed; loads it."""
    try:
        _load_pymatting()
    except ModuleNotFoundError as error:
        if error.name != "pymatting":
            raise
        return False
    return True


def bounding_box(mask: NDArray[np.uint8]) -> Box:
    """Left, upper, right and lower end of what can be seen of a mask, as Pillow crops; all of it if that is nothing."""
    seen = mask >= VISIBLE
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    if not len(columns):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def parse_colour(text: str) -> Colour:
    """Red, green and blue of a colour's name or code, as `PIL.ImageColor` understands it."""
    with suppress(ValueError):
        channels = ImageColor.getrgb(text)
        if len(channels) == 3:  # one with alpha has four
            return channels
    raise ValueError(f"a background is a colour such as white or #f0f0f0; got {text!r}")
