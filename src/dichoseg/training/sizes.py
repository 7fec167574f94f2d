"""Batches of several sizes: which samples share a batch, and its size, by seed and epoch only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np

from ..batch_norm import live_batch_norms
from ..contracts import Model, Samples, length
from ..preprocessing import Preprocessing, height_and_width
from .sources import size_source

Size = tuple[int, int]
ALIKE = 1.1
"""Largest quotient of two aspect ratios that count as one, since sides are mostly rounded to multiples of 32."""


class Group(NamedTuple):
    """Samples that share a batch, over all ranks."""

    indices: list[int]
    size: Size | None
    """Height and width of the batch; None for the model's."""


@final
class Grouping:
    """Groups of samples that share a batch, in every epoch.

    Sizes of about one aspect ratio form a bucket, and every sample belongs to the bucket nearest to its image's aspect
    ratio. A batch takes its samples and its size from one bucket. In an epoch, the sizes of a bucket get about as many
    batches each.

    Args:
        data: Data set; with several buckets, a `SizeSource`.
        sizes: Sizes as (height, width); none for the model's.
        together: Number of samples per batch, over all ranks. The last one of a bucket may be smaller.
        least: Smallest number of samples that such a smaller batch may have; others leave it out.
        seed: Seed of order and sizes.
    """

    def __init__(self, data: Samples, sizes: Sequence[Size], *, together: int, least: int, seed: int) -> None:
        self.together, self.seed = together, seed
        buckets = _buckets(sizes)
        self.buckets: list[Sequence[Size | None]] = [*buckets] or [(None,)]
        self.bucket_of = np.zeros(length(data), int)
        """Index of each sample's bucket."""
        if len(buckets) > 1:
            self.bucket_of[:] = [_nearest(data, index, buckets) for index in range(length(data))]
        counts = np.bincount(self.bucket_of, minlength=len(self.buckets)).tolist()
        self.kept = [count - rest if (rest := count % together) < least else count for count in counts]
        """Number of samples per epoch, by bucket."""
        if len(buckets) > 1 and 0 in self.kept:
            empty = self.kept.index(0)
            raise ValueError(
                f"sizes: {counts[empty]} of {length(data)} images are nearest to the aspect ratio of "
                f"{self.buckets[empty]}, and a batch of their own needs {least} or more; leave out these sizes"
            )

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return sum(math.ceil(kept / self.together) for kept in self.kept)

    def epoch(self, number: int) -> list[Group]:
        """Return the groups of an epoch; without several buckets, only the last one may be smaller."""
        random = np.random.default_rng([self.seed, number])
        order = random.permutation(len(self.bucket_of))
        groups = []
        for bucket, (sizes, kept) in enumerate(zip(self.buckets, self.kept, strict=True)):
            parts = split(order[self.bucket_of[order] == bucket][:kept].tolist(), self.together)
            turns = random.permutation(np.arange(len(parts)) + random.integers(len(sizes))) % len(sizes)
            groups += [Group(part, sizes[turn]) for part, turn in zip(parts, turns, strict=True)]
        if len(self.buckets) > 1:
            groups = [groups[place] for place in random.permutation(len(groups))]
        return groups


def least_images(model: Model, *, batch_size: int, world_size: int) -> int:
    """Return the smallest number of images that a batch may hold: batch norm needs two on each rank."""
    return 2 * world_size if batch_size > 1 and live_batch_norms(model) else 1


def check_sizes(sizes: Any, preprocessing: Preprocessing) -> tuple[Size, ...]:
    """Return sizes as (height, width); raise a TypeError or a ValueError for unusable ones."""
    try:
        plain = tuple(height_and_width(size) for size in sizes)
    except (TypeError, ValueError) as error:
        raise type(error)(f"sizes must be ints or (height, width), each 1 or more; got {sizes!r}") from None
    if len(set(plain)) < len(plain):
        raise ValueError(f"sizes must differ from one another; got {sizes!r}")
    if plain and preprocessing.size is None:
        raise ValueError(
            f"sizes={sizes!r} need a model with a size, at which it is validated; its preprocessing has size=None"
        )
    return plain


def split(indices: list[int], size: int) -> list[list[int]]:
    """Split indices into groups of a size; the last one may be smaller."""
    return [indices[first : first + size] for first in range(0, len(indices), size)]


def _buckets(sizes: Sequence[Size]) -> list[list[Size]]:
    """Return sizes of about one aspect ratio together, from wide to tall."""
    buckets: list[list[Size]] = []
    for size in sorted(sizes, key=_ratio):
        if buckets and _ratio(size) <= ALIKE * _ratio(buckets[-1][0]):
            buckets[-1].append(size)
        else:
            buckets.append([size])
    return buckets


def _nearest(data: Samples, index: int, buckets: Sequence[Sequence[Size]]) -> int:
    """Return the index of the bucket whose aspect ratios are nearest to an image's."""
    source, place = size_source(data, index)
    if source is None:
        raise TypeError(
            f"sizes of several aspect ratios need a data set that knows its images' sizes, by image_size(index) as "
            f"FolderDataset does; got {type(data).__name__}"
        )
    own = math.log(_ratio(source.image_size(place)))

    def distance(bucket: int) -> float:
        return min(abs(math.log(_ratio(size)) - own) for size in buckets[bucket])

    return min(range(len(buckets)), key=distance)


def _ratio(size: Size) -> float:
    return size[0] / size[1]
