"""Batches of a data set, augmented and normalized on the model's device."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from ..checking import whole
from ..contracts import Augmentation, Image, Mask, Model, Samples, Target
from ..data.decoding import to_unit
from ..masks import all_count
from ..runtime.device import training_layout
from ..runtime.seeding import seeded
from ..runtime.workers import explained_end, explained_start
from .ranks import Ranks
from .samples import PreparedSamples, check_range, collate, start_worker
from .sizes import Group, Grouping, Size, check_sizes, least_images, split

CPU = torch.device("cpu")
ALONE = Ranks()


class Batch(NamedTuple):
    """One batch on the model's device."""

    image: Image
    """Input of the model (B, C, H, W), normalized."""
    mask: Mask
    """Masks (B, 1, H, W) in [0, 1]."""
    names: list[str]
    """Names of the samples."""
    own: int
    """Number of samples, except one that is repeated because this rank has none."""
    step: int
    """Index of the batch in its epoch, from 1."""
    key: tuple[int, ...]
    """Seed of the batch: seed, epoch and step, and the rank if there are several."""
    weight: Tensor | None = None
    """(B, 1, H, W): 1 for pixels that count, 0 for ignored ones; None if the samples have no weights."""

    @property
    def target(self) -> Target:
        """Target of the objective."""
        return Target(self.mask, self.image, self.weight)

    def seeded(self) -> AbstractContextManager[None]:
        """Seed forward and backward pass of this batch inside a block, as `fit` does; it matters for dropout."""
        return seeded(*self.key, 3, device=self.image.device)  # 3: another stream than the augmentation's


@final
class Batches:
    """Batches of a data set, prepared for a model as `fit` does it.

    Samples are read and resized by `workers` processes, which live as long as this object; batches are moved to the
    device, augmented and normalized there. Images with 8 bits per channel stay uint8 until then.

    `for batch in Batches(data, model, batch_size=8, augmentation=gpu_augmentation(), seed=0).epoch(1): ...`

    Args:
        data: Map-style data set of `Sample` or of (image, mask) pairs, images in [0, 1].
        model: Model whose `preprocessing` is applied. If its source is the mask, as of a GT encoder, masks are its
            input.
        batch_size: Number of samples per batch, on each rank; the last batch of an epoch may be smaller.
        augmentation: Function of a batch of images and masks in [0, 1], applied in `epoch`.
        device: Device of the batches.
        workers: Number of worker processes that load data.
        seed: Seed of the order, the data set's own randomness and the augmentation.
        ranks: Ranks that share the data. In `epoch` each takes its part of every batch, and a rank without an image of
            its own in the last batch repeats the first; in `in_order` they take whole batches in turn.
        drop_last: Whether `epoch` leaves out a last batch that is smaller. Default: only if it would hold a single
            image on some rank and the model has batch norm.
        sizes: Sizes of the batches in `epoch`, one for each, as in `fit`. Default: the model's.
    """

    def __init__(
        self,
        data: Samples,
        model: Model,
        *,
        batch_size: int,
        augmentation: Augmentation | None = None,
        device: str | torch.device = CPU,
        workers: int = 0,
        seed: int = 0,
        ranks: Ranks = ALONE,
        drop_last: bool | None = None,
        sizes: Sequence[int | tuple[int, int]] = (),
    ) -> None:
        self.model = model
        self.batch_size = whole("batch_size", batch_size, least=1)
        self.augmentation = augmentation
        self.device = device = torch.device(device)
        self.layout = training_layout(device)
        """Memory format of the images, with which `fit` trains on this device; give it to the model too."""
        self.seed = seed
        self.ranks = ranks
        together = batch_size * ranks.world_size
        if drop_last is None:
            least = least_images(model, batch_size=batch_size, world_size=ranks.world_size)
        else:
            least = together if drop_last else 1
        plain = check_sizes(sizes, model.preprocessing)
        self._grouping = Grouping(data, plain, together=together, least=least, seed=seed)
        self.samples = len(self._grouping.bucket_of)
        self.images = sum(self._grouping.kept)
        """Number of images per epoch."""
        self._order: list[list[tuple[int, int, Size | None]]] = []  # epoch, index and size of each sample, by batch
        self._current: object = None
        scale = getattr(augmentation, "input_scale", 1.0)
        self._loader: DataLoader[Any] = DataLoader(
            PreparedSamples(data, model, sizes=plain, scale=scale, seed=seed),
            batch_sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=start_worker,
            collate_fn=collate,
            generator=torch.Generator().manual_seed(0),  # leaves the global one untouched
        )
        if workers:
            _close_at_exit(self)

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return len(self._grouping)

    def counts(self, number: int) -> list[int]:
        """Return the number of images in each batch of an epoch, over all ranks."""
        return [len(group.indices) for group in self._grouping.epoch(number)]

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the shuffled and augmented batches of an epoch, counted from 1, without the first `start`."""
        groups = self._grouping.epoch(number)[start:]
        shares = [self.ranks.share(group.indices) for group in groups]
        own = [Group(list(share) or group.indices[:1], group.size) for share, group in zip(shares, groups, strict=True)]
        rank_key = () if self.ranks.is_first else (self.ranks.rank, 1)  # 5 numbers; a sample's key has 4
        loaded = zip(self._load(own, number), shares, strict=True)
        for step, ((image, mask, names), share) in enumerate(loaded, start=start + 1):
            key = (self.seed, number, step, *rank_key)
            with seeded(*key, device=self.device):
                image, mask, weight = prepare(self.model, image, mask, self.augmentation, self.device)
            yield Batch(image, mask, names, len(share), step, key, weight)

    def in_order(self) -> Iterator[Batch]:
        """Yield the batches in the order of the data, without augmentation."""
        groups = self.ranks.share(split(list(range(self.samples)), self.batch_size))
        loaded = self._load([Group(indices, None) for indices in groups], 0)
        for step, (image, mask, names) in enumerate(loaded, start=1):
            image, mask, weight = prepare(self.model, image, mask, None, self.device)
            yield Batch(image, mask, names, len(names), step, (self.seed, 0, step), weight)

    def close(self) -> None:
        """Stop the worker processes now, even if a traceback still holds this object."""
        if isinstance(self._loader._iterator, _MultiProcessingDataLoaderIter):
            self._loader._iterator._shutdown_workers()  # as Lightning does; torch has no public way
            self._loader._iterator = None

    def _load(self, groups: list[Group], epoch: int) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
        self._order[:] = [[(epoch, index, group.size) for index in group.indices] for group in groups]
        self._current = groups
        try:
            for batch in self._started():
                if self._current is not groups:
                    raise RuntimeError("another epoch of these Batches has begun; make two of them to read two at once")
                if isinstance(batch, Exception):
                    try:
                        raise batch
                    finally:
                        del batch  # or its traceback would keep this frame, and with it the workers
                yield batch
        except Exception:
            self.close()  # or the traceback would keep the workers
            raise

    def _started(self) -> Iterator[Any]:
        """Yield the batches of the loader; explain why workers cannot start."""
        with explained_start(self._loader.dataset):
            batches = iter(self._loader)
        try:
            yield from batches
        except RuntimeError as error:
            workers = getattr(batches, "_workers", ())
            raise explained_end(error, [worker.exitcode for worker in workers]) from None


def _close_at_exit(batches: Batches) -> None:
    """Stop the workers before multiprocessing's exit handler waits for them, since they ignore its SIGTERM."""
    reference = weakref.ref(batches)

    def close() -> None:
        found = reference()
        if found is not None:
            found.close()

    atexit.register(close)  # the last one registered is the first one called
    weakref.finalize(batches, atexit.unregister, close)


def prepare(
    model: Model, image: Tensor, mask: Tensor, augmentation: Augmentation | None, device: torch.device
) -> tuple[Image, Mask, Tensor | None]:
    """Move a batch to the device, convert it to floats, augment it; return the model's input, masks and weights.

    Ignored pixels, if any, are a second channel of the masks, so that they are moved as the masks are. A pixel counts
    if all that it was interpolated from counts.
    """
    image, mask = (to_unit(part.to(device, non_blocking=True)) for part in (image, mask))
    if augmentation is not None:
        image, mask = _augmented(augmentation, image, mask)
    weight = None
    if mask.shape[1] == 2:
        mask, weight = mask[:, :1].contiguous(), all_count(mask[:, 1:]).float()
    net_input = model.preprocessing.normalize(model.preprocessing.input_of(image, mask))
    return net_input.contiguous(memory_format=training_layout(device)), mask, weight


def _augmented(augmentation: Augmentation, image: Image, mask: Mask) -> tuple[Image, Mask]:
    pair: Any = augmentation(image, mask)
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, Tensor) for part in pair)):
        raise TypeError(f"augmentation must return an image and a mask, both tensors; got {type(pair).__name__}")
    shapes = [tuple(part.shape) for part in pair]
    wanted = [(*part.shape[:2], *shapes[0][2:]) for part in (image, mask)]
    if shapes != wanted or len(shapes[0]) != 4:
        raise ValueError(
            f"augmentation must return images and masks of one size, {len(image)} of each, with {image.shape[1]} and "
            f"{mask.shape[1]} channels; got {shapes[0]} and {shapes[1]}"
        )
    check_range("after augmentation", "mask", pair[1], slack=1e-3)
    check_range("after augmentation", "image", pair[0], slack=0.5)  # normalized images and NaN exceed it
    return pair[0], pair[1].clamp(0, 1)  # resampling rounds
