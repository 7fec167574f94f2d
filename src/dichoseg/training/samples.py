"""Samples at the size of a batch, as worker processes load them, random only by seed, epoch and index."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any, final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ..contracts import Model, Samples
from ..data.decoding import to_unit
from ..preprocessing import Preprocessing
from ..runtime.errors import explains_itself
from ..runtime.memory import keep_memory
from ..runtime.seeding import seeded
from .sizes import Size
from .sources import pixel_source

OVERSAMPLING = 2
"""Smallest factor by which a JPEG that is decoded at reduced size must exceed the size that it is resized to.

Antialiasing then hides the difference: on photographs that are sharp to the pixel (ECSSD's) it is 0.6 of 255 levels on
average, and 1.3 at most. Without antialiasing, as IS-Net is published, it would be 5, too much between training and
prediction.
"""


def start_worker(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which the main process handles; reuse memory; use one thread.

    A terminal sends SIGINT to all processes of a program, torchrun and job schedulers SIGTERM.
    """
    keep_memory()
    cv2.setNumThreads(0)  # no thread besides this one; 1 would wait for threads that the fork did not copy
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@final
class PreparedSamples(Dataset[Any]):
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


def collate(samples: list[Any]) -> tuple[Tensor, Tensor, list[str]] | Exception:
    """Return images, masks and names of a batch; or the exception of a sample, or one if the sizes differ."""
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


def check_range(name: str, kind: str, values: Tensor, *, slack: float = 0.0) -> None:
    """Raise a ValueError if an image or a mask exceeds [0, 1] by more than `slack`, or holds NaN."""
    as_stored = sorted(range(values.ndim), key=values.stride, reverse=True)  # memory order is the fastest to read
    low, high = (float(end) for end in torch.aminmax(values.permute(as_stored)))
    if not (low >= -slack and high <= 1 + slack):
        raise ValueError(f"{name}: the {kind} must lie in [0, 1]; got {low:.4g} to {high:.4g}")
