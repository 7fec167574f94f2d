"""Optional abilities of data sets beyond returning samples, also inside torch's `Subset` and `ConcatDataset`."""

from __future__ import annotations

import bisect
from typing import Any

from torch.utils.data import ConcatDataset, Subset

from ..contracts import PixelSource, SizeSource

READING = {"__getitem__", "load", "load_pixels"}
"""Methods by which a subclass may change its samples."""


def pixel_source(data: Any, index: int) -> tuple[PixelSource | None, int]:
    """Return the source of a sample's pixels and the index in it, also inside `Subset` and `ConcatDataset`.

    The source is None if the data set has no `load_pixels`, or if a subclass overrides `__getitem__` or `load` without
    it.
    """
    inside, place = _inside(data, index)
    return (inside, place) if _has(inside, "load_pixels") else (None, index)


def size_source(data: Any, index: int) -> tuple[SizeSource | None, int]:
    """Return the source of an image's size and the index in it, as `pixel_source` does for its pixels."""
    inside, place = _inside(data, index)
    return (inside, place) if _has(inside, "image_size") else (None, index)


def _inside(data: Any, index: int) -> tuple[Any, int]:
    """Return the data set that holds a sample, and the index in it."""
    kind = type(data)
    if isinstance(data, Subset) and kind.__getitem__ is Subset.__getitem__:
        return _inside(data.dataset, data.indices[index])
    if isinstance(data, ConcatDataset) and kind.__getitem__ is ConcatDataset.__getitem__:
        index = range(len(data))[index]  # from the end if negative
        part = bisect.bisect_right(data.cumulative_sizes, index)
        return _inside(data.datasets[part], index - (data.cumulative_sizes[part - 1] if part else 0))
    return data, index


def _has(data: Any, method: str) -> bool:
    """Return whether a method describes the samples: no subclass below it changes how they are read."""
    if not hasattr(data, method):
        return False
    owner = next(base for base in type(data).__mro__ if (READING | {method}) & vars(base).keys())
    return method in vars(owner)
