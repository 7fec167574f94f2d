"""Cut-outs: the foreground of a photograph without its background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageColor, ImageOps

from ..data.decoding import eight_bits, open_image
from ..inference.predictor import to_uint8
from ..runtime.threads import torch_threads

Color: TypeAlias = tuple[int, int, int]
Backdrop: TypeAlias = Color | PillowImage.Image
Box: TypeAlias = tuple[int, int, int, int]

VISIBLE = 13
"""Lowest mask level, one twentieth, that counts for the bounding box; networks leave specks of fainter levels."""

_ESTIMATING = threading.Lock()
"""Lock, because numba's threading layer without OpenMP ends the process if two threads use it at once."""


def cut_out(
    photograph: NDArray[np.uint8],
    mask: NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.bool_],
    *,
    background: Backdrop | None = None,
    estimate: bool = True,
    keep_colors: bool = False,
    threads: int | None = None,
) -> PillowImage.Image:
    """Cut the foreground out of a photograph.

    Args:
        photograph: Photograph (H, W, 3), RGB; or (H, W, 4), RGBA, whose alpha is multiplied by the mask.
        mask: Mask (H, W); 255 is foreground. Or a map in [0, 1], as `predict` returns it.
        background: Color to put behind the foreground, or a picture, which is scaled and cropped to the photograph's
            size. Default: transparent.
        estimate: Whether to replace the colors of pixels that are partly background, as `estimate_foreground` does.
            Otherwise they keep the photograph's colors, and its background remains as a halo around fine structures.
        keep_colors: Whether wholly transparent pixels keep their colors, which some programs can show. Otherwise they
            are black, and the file is smaller.
        threads: Maximum number of threads for the estimate, as in `estimate_foreground`.

    Returns:
        RGBA image with the mask as alpha; with a background, RGB image.
    """
    photograph, own = photograph[..., :3], photograph[..., 3] if photograph.shape[2] == 4 else None
    levels = mask.astype(np.uint8) if mask.dtype == np.uint8 else to_uint8(mask.astype(np.float32))
    colors = estimate_foreground(photograph, levels, threads=threads) if estimate else photograph
    levels = times_alpha(levels, own)  # after the estimate: colors under the photograph's own alpha are not mixed
    alpha = PillowImage.fromarray(levels)
    if background is not None:
        if isinstance(background, PillowImage.Image):
            backdrop = ImageOps.fit(background.convert("RGB"), alpha.size)
        else:
            backdrop = PillowImage.new("RGB", alpha.size, background)
        return PillowImage.composite(PillowImage.fromarray(colors), backdrop, alpha)
    foreground = PillowImage.fromarray(colors if keep_colors else colors * (levels > 0)[..., None])
    foreground.putalpha(alpha)
    return foreground


def times_alpha(mask: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Multiply a mask by the alpha channel of its photograph, if it has one."""
    if alpha is None:
        return mask
    return ((mask.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def estimate_foreground(
    photograph: NDArray[np.uint8], mask: NDArray[np.uint8], *, threads: int | None = None
) -> NDArray[np.uint8]:
    """Estimate the foreground's colors, (H, W, 3), in pixels that mix foreground and background.

    Uses pymatting, after Germer et al. (arXiv:2006.14970). If the mask is 0, the colors continue smoothly. It takes
    about 0.1 s and 100 MB per megapixel, and half a minute the very first time, when it is compiled. A constant mask
    leaves the photograph unchanged.

    Args:
        photograph: Photograph (H, W, 3), RGB.
        mask: Mask (H, W); 255 is foreground.
        threads: Maximum number of threads. Default: numba's number, one per core.
    """
    pymatting = _load_pymatting()
    if mask.min() == mask.max():  # and its pyramid needs two pixels
        return photograph
    with _ESTIMATING, _numba_threads(threads):
        colors = pymatting.estimate_foreground_ml(photograph.astype(np.float32) / 255, mask.astype(np.float32) / 255)
    return (colors * 255).round().astype(np.uint8)


def _load_pymatting() -> Any:
    """Import pymatting without changing torch's number of threads, as numba's OpenMP threads otherwise would."""
    with torch_threads():
        import pymatting
    return pymatting


@contextmanager
def _numba_threads(count: int | None) -> Iterator[None]:
    """Limit the threads of pymatting's numba kernels inside the block; restore their number afterwards."""
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
    """Import pymatting; return whether it is installed."""
    try:
        _load_pymatting()
    except ModuleNotFoundError as error:
        if error.name != "pymatting":
            raise
        return False
    return True


def bounding_box(mask: NDArray[np.uint8], *, margin: int = 0) -> Box:
    """Return (left, upper, right, lower) of a mask's visible part; of the whole mask if nothing is visible.

    Args:
        mask: Mask (H, W).
        margin: Number of pixels to add on each side, as far as the mask has them.
    """
    height, width = mask.shape
    seen = mask >= VISIBLE
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    if not len(columns):
        return 0, 0, width, height
    left, upper = max(0, int(columns[0]) - margin), max(0, int(rows[0]) - margin)
    return left, upper, min(width, int(columns[-1]) + 1 + margin), min(height, int(rows[-1]) + 1 + margin)


def parse_background(text: str) -> Backdrop:
    """Parse the name or code of a color, or read the picture of that path."""
    with suppress(ValueError):
        return parse_color(text)
    if Path(text).is_file():
        return PillowImage.fromarray(eight_bits(open_image(text)))
    raise ValueError(f"background must be a color such as white or #f0f0f0, or a picture; got {text!r}")


def parse_color(text: str) -> Color:
    """Parse the name or code of a color without alpha, as `PIL.ImageColor` reads it."""
    with suppress(ValueError):
        channels = ImageColor.getrgb(text)
        if len(channels) == 3:  # a color with alpha has four
            return channels
    raise ValueError(f"background must be a color such as white or #f0f0f0; got {text!r}")
