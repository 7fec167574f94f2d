"""Batches of samples at a model's size, whose randomness is a function of seed, epoch and sample alone."""

from __future__ import annotations

import functools
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..augmentations.gpu import Augmentation
from ..contracts import Image, Mask, Model, Samples


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
) -> Iterator[tuple[Image, Mask, list[str]]]:
    """Batches of images, masks and names at the model's size, on the CPU, in [0, 1].

    Args:
        data: Samples or plain pairs.
        model: Whose preprocessing resizes them.
        batch_size: Samples per batch; the last batch may be smaller.
        workers: Processes that load.
        augmentation: What will be applied to the batches; one that crops gets larger ones.
        seed: Of the order, and of the random state in which each sample is loaded.
        epoch: Shuffled anew for each epoch; None keeps the order.
        start: Number of batches to leave out at the beginning.

    Raises:
        OSError, ValueError: The first sample that cannot be loaded, in the loader's own words.
    """
    prepared = _Prepared(data, model, scale=getattr(augmentation, "input_scale", 1.0), seed=seed, epoch=epoch or 0)
    order: Sequence[int] = range(length(data))
    if epoch is not None:
        order = np.random.default_rng([seed, epoch]).permutation(length(data)).tolist()
    loader: DataLoader[Any] = DataLoader(
        prepared,
        batch_size=batch_size,
        sampler=order[start * batch_size :],
        num_workers=workers,
        worker_init_fn=_ignore_interrupts,
        collate_fn=_collate,
        generator=torch.Generator().manual_seed(0),  # its own, so that the global one stays untouched
    )
    for batch in loader:
        if isinstance(batch, Exception):
            raise batch
        yield batch


def prepare(
    model: Model, image: Image, mask: Mask, augmentation: Augmentation | None, device: torch.device
) -> tuple[Image, Mask]:
    """Move a batch to the device, augment it, and turn it into the model's input and target.

    Raises:
        ValueError: An augmentation whose mask leaves [0, 1].
    """
    image, mask = image.to(device), mask.to(device)
    if augmentation is not None:
        image, mask = augmentation(image, mask)
        check_range("after augmentation", "mask", mask, slack=1e-3)
        mask = mask.clamp(0, 1)  # resampling rounds
    if model.preprocessing.source == "mask":
        image = mask
    return model.preprocessing.normalize(image), mask


@contextmanager
def seeded(*key: int, device: torch.device | None = None) -> Iterator[None]:
    """Random state that is a function of `key` alone; the state found is put back.

    Without a device only the CPU's state is touched, because a loader's worker must not touch CUDA.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    python, numpy = random.getstate(), np.random.get_state()
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for one in cuda:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def length(data: Samples) -> int:
    """Number of samples; a TypeError where the data set has none to tell."""
    if isinstance(data, str) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(f"a data set needs a length and an index, as a list has; got {type(data).__name__}")
    return len(data)


def check_range(name: str, kind: str, values: Tensor, *, slack: float = 0.0) -> None:
    """Raise a ValueError where an image or a mask leaves [0, 1] by more than `slack`, or is not a number."""
    low, high = (float(end) for end in torch.aminmax(values))
    if not (low >= -slack and high <= 1 + slack):
        raise ValueError(f"{name}: the {kind} must lie in [0, 1]; got {low:.4g} to {high:.4g}")


def _ignore_interrupts(worker: int) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the main one, which ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Prepared(Dataset[Any]):
    """Samples at the model's size, each under a random state of its own.

    What cannot be read comes back as the exception itself, so that a worker's traceback does not bury its message.
    """

    def __init__(self, data: Samples, model: Model, *, scale: float, seed: int, epoch: int) -> None:
        self.data = data
        self.preprocessing = model.preprocessing
        self.scale = scale
        self.seed = seed
        self.epoch = epoch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, str] | Exception:
        try:
            return self._load(index)
        except (OSError, ValueError) as error:
            return error

    def _load(self, index: int) -> tuple[Tensor, Tensor, str]:
        with seeded(self.seed, self.epoch, index, 1):  # 1: a stream of its own beside the steps'
            image, mask, *rest = self.data[index]
        name = str(rest[0]) if rest else f"sample {index}"
        if image.ndim != 3 or mask.ndim != 3 or mask.shape[0] != 1 or image.shape[-2:] != mask.shape[-2:]:
            raise ValueError(
                f"{name}: wanted an image (3, H, W) and a mask (1, H, W) of one size; "
                f"got {tuple(image.shape)} and {tuple(mask.shape)}"
            )
        check_range(name, "image", image)
        check_range(name, "mask", mask)
        resize = functools.partial(self.preprocessing.resize, scale=self.scale)
        return resize(image[None])[0], resize(mask[None])[0], name


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
    return torch.stack(images), torch.stack(masks), list(names)
