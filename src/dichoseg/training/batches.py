"""Batches of samples at a model's size; their randomness depends on seed, epoch and sample only."""

from __future__ import annotations

import bisect
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from ..contracts import Augmentation, Image, Mask, Model, PixelSource, Samples, length
from ..data.decoding import to_unit
from ..runtime.device import CHANNELS_LAST
from ..runtime.memory import keep_memory
from ..runtime.seeding import seeded
from .processes import Processes

ALONE = Processes()
OVERSAMPLING = 2
"""A file may be decoded in a fraction of its size, but of no less than so many times the size that it is shrunk to.

Then antialiasing hides the difference: on photographs sharp to the pixel (ECSSD's) it is 0.6 of 255 levels on average,
1.3 in the worst. Without antialiasing, as IS-Net is published, it would be 5, too much to be seen in training only.
"""


def batches(
    data: Samples,
    model: Model,
    *,
    batch_size: int,
    workers: int,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    epoch: int | None = None,
    start: int = 0,
    processes: Processes = ALONE,
) -> Iterator[tuple[Image, Mask, list[str]]]:
    """Batches of images, masks and names at the model's size, on the CPU, in [0, 1].

    Args:
        data: Samples or plain pairs.
        model: Whose preprocessing resizes them.
        batch_size: Samples per batch and process; the last batch may be smaller.
        workers: Processes that load.
        augmentation: What will be applied to the batches; one that crops gets larger ones.
        seed: Of the order, and of the random state in which each sample is loaded.
        epoch: Shuffled anew for each epoch; None keeps the order.
        start: Number of batches to leave out at the beginning.
        processes: Who shares the data. Shuffled, every process gets its part of each batch, and where the last one has
            fewer samples than there are processes, one of them for company; in order, they get whole batches in turn.

    Raises:
        OSError, TypeError, ValueError: The first sample that cannot be loaded, in the loader's own words.
    """
    prepared = _Prepared(data, model, scale=getattr(augmentation, "input_scale", 1.0), seed=seed, epoch=epoch or 0)
    order = list(range(length(data)))
    if epoch is None:
        groups = _groups(order, batch_size)[start:][processes.rank :: processes.count]
    else:
        order = np.random.default_rng([seed, epoch]).permutation(length(data)).tolist()
        together = _groups(order, batch_size * processes.count)[start:]
        groups = [list(processes.share(group)) or group[:1] for group in together]
    loader: DataLoader[Any] = DataLoader(
        prepared,
        batch_sampler=groups,
        num_workers=workers,
        worker_init_fn=_start_worker,
        collate_fn=_collate,
        generator=torch.Generator().manual_seed(0),  # its own, so that the global one stays untouched
    )
    for batch in loader:
        if isinstance(batch, Exception):
            raise batch
        image, mask, names = batch
        yield to_unit(image), to_unit(mask), names


def _groups(order: list[int], size: int) -> list[list[int]]:
    return [order[first : first + size] for first in range(0, len(order), size)]


def prepare(
    model: Model, image: Image, mask: Mask, augmentation: Augmentation | None, device: torch.device
) -> tuple[Image, Mask]:
    """Move a batch to the device, augment it, and turn it into the model's input and target.

    Raises:
        TypeError, ValueError: An augmentation that gives something else than images and masks in [0, 1].
    """
    image, mask = image.to(device), mask.to(device)
    if augmentation is not None:
        image, mask = _augmented(augmentation, image, mask)
    if model.preprocessing.source == "mask":
        image = mask
    net_input = model.preprocessing.normalize(image)
    if device.type in CHANNELS_LAST:
        net_input = net_input.contiguous(memory_format=torch.channels_last)
    return net_input, mask


def _augmented(augmentation: Augmentation, image: Image, mask: Mask) -> tuple[Image, Mask]:
    pair: Any = augmentation(image, mask)
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, Tensor) for part in pair)):
        raise TypeError(f"augmentation must give an image and a mask, both tensors; got {type(pair).__name__}")
    shapes = [tuple(part.shape) for part in pair]
    wanted = [(*part.shape[:2], *shapes[0][2:]) for part in (image, mask)]
    if shapes != wanted or len(shapes[0]) != 4:
        raise ValueError(
            f"augmentation must give images and masks of one size, {len(image)} of each, with {image.shape[1]} and "
            f"{mask.shape[1]} channels; got {shapes[0]} and {shapes[1]}"
        )
    check_range("after augmentation", "mask", pair[1], slack=1e-3)
    check_range("after augmentation", "image", pair[0], slack=0.5)  # beyond lies what was normalised, or not a number
    return pair[0], pair[1].clamp(0, 1)  # resampling rounds


def check_range(name: str, kind: str, values: Tensor, *, slack: float = 0.0) -> None:
    """Raise a ValueError where an image or a mask leaves [0, 1] by more than `slack`, or is not a number."""
    as_stored = sorted(range(values.ndim), key=values.stride, reverse=True)  # the order in which it is read fastest
    low, high = (float(end) for end in torch.aminmax(values.permute(as_stored)))
    if not (low >= -slack and high <= 1 + slack):
        raise ValueError(f"{name}: the {kind} must lie in [0, 1]; got {low:.4g} to {high:.4g}")


def _start_worker(worker: int) -> None:
    """Leave Ctrl-C and SIGTERM to the main process, which ends its workers itself; keep one photograph's memory.

    A terminal sends the one to all of a program's processes, torchrun and job schedulers the other. OpenCV is kept to
    the worker's own thread, as torch keeps itself.
    """
    keep_memory()
    cv2.setNumThreads(0)  # none beside this one; 1 would wait for threads that a fork has left behind
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _Prepared(Dataset[Any]):
    """Samples at the model's size, each under a random state of its own.

    Those of a `PixelSource` stay in 8 bits as long as that loses nothing: a quarter of the memory to move.

    A sample that cannot be read is returned as the exception, so that a worker's traceback does not bury its message.
    """

    def __init__(self, data: Samples, model: Model, *, scale: float, seed: int, epoch: int) -> None:
        self.data = data
        self.preprocessing = model.preprocessing
        self.scale = scale
        self.seed = seed
        self.epoch = epoch
        # validation, epoch 0, sees the same pixels as `predict`
        self.at_least = self._at_least() if epoch else None
        self.by_opencv = self._is_published_resize() if epoch else False

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, str] | Exception:
        try:
            return self._load(index)
        except (OSError, TypeError, ValueError) as error:
            return error

    def _load(self, index: int) -> tuple[Tensor, Tensor, str]:
        source, place = pixel_source(self.data, index)
        with seeded(self.seed, self.epoch, index, 1):  # 1: another stream than the steps'
            if source is None:
                image, mask, *rest = self.data[index]
            else:
                image, mask, *rest = source.load_pixels(place, at_least=self.at_least)
        name = str(rest[0]) if rest and not isinstance(rest[0], Tensor) else f"sample {index}"
        if not (isinstance(image, Tensor) and isinstance(mask, Tensor)):
            raise TypeError(
                f"{name}: wanted tensors, an image (3, H, W) and a mask (1, H, W); "
                f"got {type(image).__name__} and {type(mask).__name__}"
            )
        is_reduced = source is not None and self.at_least is not None
        if image.ndim != 3 or mask.ndim != 3 or mask.shape[0] != 1 or not _fit(image, mask, is_reduced=is_reduced):
            raise ValueError(
                f"{name}: wanted an image (3, H, W) and a mask (1, H, W) of one size; "
                f"got {tuple(image.shape)} and {tuple(mask.shape)}"
            )
        if source is None:
            image, mask = image.float(), mask.float()
        for kind, values in (("image", image), ("mask", mask)):
            if values.dtype == torch.uint8:
                continue
            if not values.is_floating_point():
                raise TypeError(f"{name}: load_pixels gave {values.dtype} for the {kind}; wanted uint8 or float32")
            check_range(name, kind, values)
        return self._resized(image), self._resized(mask), name

    def _resized(self, pixels: Tensor) -> Tensor:
        """At the model's size: levels of 8 bits, uint8, stay such where that loses nothing; all else is in [0, 1]."""
        how = self.preprocessing
        size = how.content_size(pixels.shape[-2], pixels.shape[-1], scale=self.scale)
        if pixels.dtype == torch.uint8 and how.resize_policy != "letterbox":
            if size == tuple(pixels.shape[-2:]):
                return pixels
            if self.by_opencv:
                return resized_levels(pixels, size)
        return how.resize(to_unit(pixels)[None], scale=self.scale)[0]

    def _at_least(self) -> int | None:
        """Return the number of pixels that an image's shorter side must keep when its file is read; None for all."""
        how = self.preprocessing
        if how.height_width is None or how.resize_policy != "stretch":
            return None  # these need the image's exact shape
        if how.source == "mask":
            return 1  # the image is not used
        return OVERSAMPLING * round(max(how.height_width) * self.scale) if how.antialias else None

    def _is_published_resize(self) -> bool:
        """Whether `resized_levels` does the resizing that the preprocessing wants."""
        how = self.preprocessing
        return how.to_uint8 and how.interpolation == "bilinear" and not how.antialias


def pixel_source(data: Any, index: int) -> tuple[PixelSource | None, int]:
    """Return the source of a sample's pixels and the index in it, also inside `Subset` and `ConcatDataset`.

    The source is None if the data set has no `load_pixels`, or if a subclass overrides `__getitem__` or `load` without
    it.
    """
    kind = type(data)
    if isinstance(data, Subset) and kind.__getitem__ is Subset.__getitem__:
        return pixel_source(data.dataset, data.indices[index])
    if isinstance(data, ConcatDataset) and kind.__getitem__ is ConcatDataset.__getitem__:
        index = range(len(data))[index]  # from the end if negative
        part = bisect.bisect_right(data.cumulative_sizes, index)
        return pixel_source(data.datasets[part], index - (data.cumulative_sizes[part - 1] if part else 0))
    if not isinstance(data, PixelSource):
        return None, index
    owner = next(base for base in kind.__mro__ if {"__getitem__", "load", "load_pixels"} & vars(base).keys())
    return (data, index) if "load_pixels" in vars(owner) else (None, index)


def _fit(image: Tensor, mask: Tensor, *, is_reduced: bool) -> bool:
    """Whether image and mask have one size, or one shape where the file of the image was read at a fraction of it."""
    height, width = image.shape[-2:]
    mask_height, mask_width = mask.shape[-2:]
    if is_reduced:
        return bool(height * mask_width == width * mask_height)
    return bool((height, width) == (mask_height, mask_width))


def _collate(samples: list[Any]) -> tuple[Image, Mask, list[str]] | Exception:
    for sample in samples:
        if isinstance(sample, Exception):
            return sample
    images, masks, names = zip(*samples, strict=True)
    sizes = sorted({tuple(image.shape[-2:]) for image in images})
    if len(sizes) > 1:
        return ValueError(
            f"images of different sizes cannot share a batch, here {sizes}; give the model's preprocessing a "
            "size and the policy 'stretch' or 'letterbox', or use batch_size=1"
        )
    return stacked(images), stacked(masks), list(names)


def stacked(pictures: Sequence[Tensor]) -> Tensor:
    """One batch: of levels of 8 bits where all are, else in [0, 1]."""
    if any(picture.dtype != torch.uint8 for picture in pictures):
        return torch.stack([to_unit(picture) for picture in pictures])
    batch = torch.empty((len(pictures), *pictures[0].shape), dtype=torch.uint8)
    for picture, channels in zip(pictures, batch.numpy(), strict=True):
        cv2.split(picture.permute(1, 2, 0).numpy(), list(channels))  # pixel by pixel as files have them: torch is slow
    return batch


def resized_levels(levels: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize levels of 8 bits (C, H, W) as IS-Net is published, bilinearly and truncated to 8 bits, by OpenCV.

    For training only, where resizing is a good part of loading: four to five times as fast as torch, on whose rounding
    `Preprocessing.resize` rests. Both compute in float32, but sum in another order and round the places of the pixels
    otherwise. Where a result lies next to a whole number, truncation makes one level of it. That befalls no value of
    ECSSD's images at 256 and 512 pixels, one in a million at 1024, and one in a thousand at sides such as 352.
    """
    pixels = levels.permute(1, 2, 0).numpy().astype(np.float32)  # (H, W, C)
    resized = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return torch.from_numpy(resized.reshape(*size, -1)).permute(2, 0, 1)  # (C, H, W)
