"""Batches of a data set at a model's input size or others, random only by seed, epoch and sample."""

from __future__ import annotations

import atexit
import signal
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from ..checking import whole
from ..contracts import Augmentation, Image, Mask, Model, Samples, Target
from ..data.decoding import to_unit
from ..masks import all_count
from ..preprocessing import Preprocessing
from ..runtime.device import CHANNELS_LAST
from ..runtime.errors import explains_itself
from ..runtime.memory import keep_memory
from ..runtime.seeding import seeded
from ..runtime.workers import explained_end, explained_start
from .ranks import Ranks
from .sizes import Group, Grouping, Size, check_sizes, least_images, split
from .sources import pixel_source

CPU = torch.device("cpu")
ALONE = Ranks()
OVERSAMPLING = 2
"""Smallest factor by which a JPEG that is decoded at reduced size must exceed the size that it is resized to.

Antialiasing then hides the difference: on photographs that are sharp to the pixel (ECSSD's) it is 0.6 of 255 levels on
average, and 1.3 at most. Without antialiasing, as IS-Net is published, it would be 5, too much between training and
prediction.
"""


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
            _Prepared(data, model, sizes=plain, scale=scale, seed=seed),
            batch_sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            worker_init_fn=_start_worker,
            collate_fn=_collate,
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
    if device.type in CHANNELS_LAST:
        net_input = net_input.contiguous(memory_format=torch.channels_last)
    return net_input, mask, weight


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


def check_range(name: str, kind: str, values: Tensor, *, slack: float = 0.0) -> None:
    """Raise a ValueError if an image or a mask exceeds [0, 1] by more than `slack`, or holds NaN."""
    as_stored = sorted(range(values.ndim), key=values.stride, reverse=True)  # memory order is the fastest to read
    low, high = (float(end) for end in torch.aminmax(values.permute(as_stored)))
    if not (low >= -slack and high <= 1 + slack):
        raise ValueError(f"{name}: the {kind} must lie in [0, 1]; got {low:.4g} to {high:.4g}")


def _start_worker(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which the main process handles; reuse memory; use one thread.

    A terminal sends SIGINT to all processes of a program, torchrun and job schedulers SIGTERM.
    """
    keep_memory()
    cv2.setNumThreads(0)  # no thread besides this one; 1 would wait for threads that the fork did not copy
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _Prepared(Dataset[Any]):
    """Samples at a batch's size, by (epoch, index, size), each with a random state of its own.

    Samples of a `PixelSource` stay uint8 as long as that loses nothing: a quarter of the memory to move.

    If a sample cannot be read, and the message says why, the exception is returned, or a worker's traceback would bury
    it. A mistake in code, such as a transform's, keeps its traceback.
    """

    def __init__(self, data: Samples, model: Model, *, sizes: Sequence[Size], scale: float, seed: int) -> None:
        self.data = data
        self.preprocessing = {size: model.preprocessing.with_size(size) for size in (None, *sizes)}
        self.scale = scale
        self.seed = seed
        how = model.preprocessing
        self.fast_resize = how.to_uint8 and how.interpolation == "bilinear" and not how.antialias
        """True if `resized_levels` does the resizing that the preprocessing asks for."""

    def __getitem__(self, place: tuple[int, int, Size | None]) -> tuple[Tensor, Tensor, str] | Exception:
        try:
            return self._load(*place)
        except (OSError, TypeError, ValueError) as error:
            if not explains_itself(error):
                raise
            return error

    def _load(self, epoch: int, index: int, size: Size | None) -> tuple[Tensor, Tensor, str]:
        trains = epoch > 0  # validation, epoch 0, sees the same pixels as `predict`
        how = self.preprocessing[size]
        at_least = self._at_least(how) if trains else None
        source, place = pixel_source(self.data, index)
        with seeded(self.seed, epoch, index, 1):  # 1: another stream than that of the steps
            sample = self.data[index] if source is None else source.load_pixels(place, at_least=at_least)
        image, mask, *rest = sample
        name = str(rest[0]) if rest and not isinstance(rest[0], Tensor) else f"sample {index}"
        _check_sample(name, image, mask, is_reduced=source is not None and at_least is not None)
        if source is None:
            image, mask = image.float(), mask.float()
        for kind, values in (("image", image), ("mask", mask)):
            if values.dtype == torch.uint8:
                continue
            if not values.is_floating_point():
                raise TypeError(f"{name}: load_pixels returned {values.dtype} for the {kind}; wanted uint8 or float32")
            check_range(name, kind, values)
        weight = getattr(sample, "weight", None)
        if weight is not None:
            mask = with_ignored(mask, weight, name)
        return self._resized(image, how, fast=trains), self._resized(mask, how, fast=trains), name

    def _resized(self, pixels: Tensor, how: Preprocessing, *, fast: bool) -> Tensor:
        """Resize to the batch's size; uint8 stays uint8 if that loses nothing, everything else is in [0, 1]."""
        size = how.content_size(pixels.shape[-2], pixels.shape[-1], scale=self.scale)
        if pixels.dtype == torch.uint8 and how.resize_policy != "letterbox":
            if size == tuple(pixels.shape[-2:]):
                return pixels
            if fast and self.fast_resize:
                return resized_levels(pixels, size)
        return how.resize(to_unit(pixels)[None], scale=self.scale)[0]

    def _at_least(self, how: Preprocessing) -> int | None:
        """Return the length that an image's shorter side must keep when its file is decoded; None for all of it."""
        if how.height_width is None or how.resize_policy != "stretch":
            return None  # these need the image's exact shape
        if how.source == "mask":
            return 1  # the image is not used
        return OVERSAMPLING * round(max(how.height_width) * self.scale) if how.antialias else None


def _check_sample(name: str, image: object, mask: object, *, is_reduced: bool) -> None:
    """Check types and shapes of a sample; one whose image was decoded at reduced size must have one aspect ratio."""
    if not (isinstance(image, Tensor) and isinstance(mask, Tensor)):
        raise TypeError(
            f"{name}: wanted tensors, an image (3, H, W) and a mask (1, H, W); "
            f"got {type(image).__name__} and {type(mask).__name__}"
        )
    fits = image.ndim == mask.ndim == 3 and mask.shape[0] == 1
    if fits:
        (height, width), (mask_height, mask_width) = image.shape[1:], mask.shape[1:]
        fits = height * mask_width == width * mask_height if is_reduced else image.shape[1:] == mask.shape[1:]
    if not fits:
        raise ValueError(
            f"{name}: wanted an image (3, H, W) and a mask (1, H, W) of one size; "
            f"got {tuple(image.shape)} and {tuple(mask.shape)}"
        )


def with_ignored(mask: Tensor, weight: Tensor, name: str) -> Tensor:
    """Append ignored pixels to a mask as a channel, and make them background in the mask: (2, H, W)."""
    if weight.shape != mask.shape or not ((weight == 0) | (weight == 1)).all():
        raise ValueError(
            f"{name}: the weight must be 0 or 1 for each pixel of the mask, {tuple(mask.shape)}; "
            f"got {tuple(weight.shape)}, {float(weight.min()):.4g} to {float(weight.max()):.4g}"
        )
    ignored = weight == 0
    white = 255 if mask.dtype == torch.uint8 else 1
    return torch.cat([mask.masked_fill(ignored, 0), ignored.to(mask.dtype) * white])


def _collate(samples: list[Any]) -> tuple[Tensor, Tensor, list[str]] | Exception:
    for sample in samples:
        if isinstance(sample, Exception):
            return sample
    images, masks, names = zip(*samples, strict=True)
    channels = max(map(len, masks))
    masks = tuple(F.pad(mask, [0] * 5 + [channels - len(mask)]) if len(mask) < channels else mask for mask in masks)
    sizes = sorted({tuple(image.shape[-2:]) for image in images})
    if len(sizes) > 1:
        return ValueError(
            f"images of different sizes cannot share a batch, here {sizes}; give the model's preprocessing a "
            "size and the policy 'stretch' or 'letterbox', or use batch_size=1"
        )
    return stacked(images), stacked(masks), list(names)


def stacked(pictures: Sequence[Tensor]) -> Tensor:
    """Stack images or masks: uint8 if all of them are, else floats in [0, 1]."""
    if any(picture.dtype != torch.uint8 for picture in pictures):
        return torch.stack([to_unit(picture) for picture in pictures])
    batch = torch.empty((len(pictures), *pictures[0].shape), dtype=torch.uint8)
    for picture, channels in zip(pictures, batch.numpy(), strict=True):
        cv2.split(picture.permute(1, 2, 0).numpy(), list(channels))  # files store (H, W, C); torch's copy is slow
    return batch


def resized_levels(levels: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a uint8 image (C, H, W) as IS-Net is published, bilinearly and truncated to uint8, by OpenCV.

    For training only, where resizing takes much of the loading time: four to five times as fast as torch, on whose
    rounding `Preprocessing.resize` relies. Both compute in float32, but sum in another order and round the positions of
    the pixels differently. If a result is close to an integer, truncation turns that into one level: for no value of
    ECSSD's images at 256 and 512 pixels, one in a million at 1024, and one in a thousand at sides such as 352.
    """
    pixels = levels.permute(1, 2, 0).numpy().astype(np.float32)  # (H, W, C)
    resized = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return torch.from_numpy(resized.reshape(*size, -1)).permute(2, 0, 1)  # (C, H, W)
