"""`fit`: one loop that trains any model on any data set of images and masks."""

from __future__ import annotations

import csv
import functools
import logging
import math
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .augmentations.gpu import Augmentation
from .blocks import spatial_size
from .contracts import Image, Mask, Model, Objective, Samples
from .losses.objectives import DeepSupervision
from .losses.pixel import BCELoss
from .metrics.online import OnlineMetrics
from .models.weights import save_model, write_atomically

logger = logging.getLogger(__name__)

Row = dict[str, float]
"""One epoch: `epoch`, `loss`, each term by its name, `learning_rate`, `seconds`, and the validation scores."""
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
MakeSchedule = Callable[[torch.optim.Optimizer, int], LRScheduler]


def cosine(optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
    """Cosine decay to zero over all steps: the default schedule of `fit`."""
    return CosineAnnealingLR(optimizer, T_max=steps)


def fit(
    model: Model,
    train_data: Samples,
    *,
    objective: Objective | None = None,
    val_data: Samples | None = None,
    augmentation: Augmentation | None = None,
    epochs: int = 10,
    batch_size: int = 8,
    accumulate: int = 1,
    optimizer: MakeOptimizer | None = None,
    schedule: MakeSchedule = cosine,
    clip_norm: float | None = 1.0,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    device: str | torch.device | None = None,
    workers: int = 0,
    seed: int = 0,
    out: str | Path | None = None,
    on_epoch: Callable[[Model, Row], object] | None = None,
    progress: bool = True,
) -> list[Row]:
    """Train a model.

    Each step loads images and masks, resizes them to the model's size, augments them on the device, normalises
    them and minimises the objective. A model whose `preprocessing.source` is `"mask"`, a GT encoder, gets the mask
    as its image. All randomness derives from `seed`; global random state is left as it was found.

    Args:
        model: Trained in place. Afterwards it holds the best weights by `quick_max_f`, or the last without
            `val_data`, and is on the device and in the mode in which it came.
        train_data: A map-style data set of `Sample` or of (image, mask) pairs, images in [0, 1].
        objective: What to minimise. Default: `DeepSupervision(BCELoss())`.
        val_data: Scored after each epoch, with `quick_mae` and `quick_max_f`.
        augmentation: `(image, mask) -> (image, mask)` on batches in [0, 1], such as `gpu_augmentation()`.
        epochs: Passes over the data.
        batch_size: Images per forward pass.
        accumulate: Batches per optimiser step; the loss is their mean over images.
        optimizer: Makes an optimiser of the trainable parameters. Default: AdamW with learning rate 1e-3.
        schedule: Makes a schedule of an optimiser and the number of steps; it moves after every step.
        clip_norm: Largest norm of the gradient; None clips nothing.
        precision: `"auto"` is bfloat16 autocast where the machine has it natively, else float32.
        device: Default: CUDA, else Apple's MPS where there is one, else where the model is.
        workers: Processes that load data; their number changes no result.
        seed: Order of the data, augmentation, and transforms in the data set.
        out: A new folder for `last/` and, with `val_data`, `best/` (as `save_model` writes them), and for
            `history.csv`.
        on_epoch: Called after each epoch with the model and the epoch's row.
        progress: Whether to show a bar on a terminal.

    Returns:
        One row per epoch.

    Raises:
        ValueError: Arguments or data that cannot be trained on; the message names them.
        FileExistsError: `out` already holds something.
        FloatingPointError: A loss that is not finite; the message names the term, the step and the images.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("accumulate", accumulate)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more; got {value}")
    for name, data in (("train_data", train_data), ("val_data", val_data)):
        if data is not None and _length(data) == 0:
            raise ValueError(f"{name} holds no samples")
    objective = DeepSupervision(BCELoss()) if objective is None else objective
    objective.check(model)
    folder = _new_folder(out)
    home, was_training = next(model.parameters()).device, model.training
    target = _choose_device(device, home)
    autocast = torch.autocast(target.type, torch.bfloat16, enabled=_uses_bfloat16(precision, target))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("the model has no parameter that takes a gradient; is all of it frozen?")
    model.to(target)
    objective.to(target)
    make_optimizer = functools.partial(torch.optim.AdamW, lr=1e-3) if optimizer is None else optimizer
    adam = make_optimizer(parameters)
    batches = math.ceil(_length(train_data) / batch_size)
    learning_rate = schedule(adam, math.ceil(batches / accumulate) * epochs)
    best_score, best_state = -math.inf, None
    history: list[Row] = []
    try:
        if _length(train_data) % batch_size == 1 or batch_size == 1:
            _check_batch_of_one(model, target)
        for epoch in range(1, epochs + 1):
            started = time.monotonic()
            totals: dict[str, float] = {}
            model.train()
            objective.train()
            loader = _batches(train_data, model, batch_size, workers, augmentation, seed=seed, epoch=epoch)
            bar = tqdm(
                loader,
                desc=f"epoch {epoch}/{epochs}",
                total=batches,
                leave=False,
                disable=None if progress else True,
            )
            window = 0
            for step, (image, mask, names) in enumerate(bar, start=1):
                if window == 0:
                    first = (step - 1) * batch_size
                    window = min(accumulate * batch_size, _length(train_data) - first)
                    waiting = window
                with _seeded(seed, epoch, step, device=target):
                    image, mask = _prepare(model, image, mask, augmentation, target)
                    with autocast:
                        prediction = model(image)
                    terms = objective.terms(prediction, mask)
                    _check_finite(terms, epoch, step, names)
                    loss = torch.stack(list(terms.values())).sum()
                    (loss * (len(image) / window)).backward()
                waiting -= len(image)
                if waiting <= 0:
                    if clip_norm is not None:
                        nn.utils.clip_grad_norm_(parameters, clip_norm)
                    adam.step()
                    learning_rate.step()
                    adam.zero_grad(set_to_none=True)
                    window = 0
                for name, term in [("loss", loss), *terms.items()]:
                    totals[name] = totals.get(name, 0.0) + float(term.detach()) * len(image)
                seen = min(step * batch_size, _length(train_data))
                bar.set_postfix({name: f"{value / seen:.3f}" for name, value in _grouped(totals).items()})
            row: Row = {
                "epoch": epoch,
                **{name: value / _length(train_data) for name, value in totals.items()},
            }
            row["learning_rate"] = float(learning_rate.get_last_lr()[0])
            if val_data is not None:
                row |= _validate(model, val_data, batch_size, workers, target, autocast)
            row["seconds"] = time.monotonic() - started
            history.append(row)
            shown = {name: value for name, value in _grouped(row).items() if name != "epoch"}
            logger.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))
            improved = row.get("quick_max_f", -math.inf) > best_score
            if improved:
                best_score = row["quick_max_f"]
                best_state = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
            if folder is not None:
                save_model(model, folder / "last")
                if improved:
                    save_model(model, folder / "best")
                write_atomically(folder / "history.csv", lambda path: _write_history(path, history))
            if on_epoch is not None:
                on_epoch(model, row)
        if best_state is not None:
            model.load_state_dict(best_state)
    finally:
        adam.zero_grad(set_to_none=True)
        model.to(home).train(was_training)
        objective.to(home)
    return history


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
        with _seeded(self.seed, self.epoch, index):
            image, mask, *rest = self.data[index]
        name = str(rest[0]) if rest else f"sample {index}"
        if image.ndim != 3 or mask.ndim != 3 or mask.shape[0] != 1 or image.shape[-2:] != mask.shape[-2:]:
            raise ValueError(
                f"{name}: wanted an image (3, H, W) and a mask (1, H, W) of one size; "
                f"got {tuple(image.shape)} and {tuple(mask.shape)}"
            )
        if not (mask.min() >= 0 and mask.max() <= 1):
            raise ValueError(f"{name}: the mask must lie in [0, 1]; got {mask.min():.4g} to {mask.max():.4g}")
        resize = functools.partial(self.preprocessing.resize, scale=self.scale)
        return resize(image[None])[0], resize(mask[None])[0], name


def _batches(
    data: Samples,
    model: Model,
    batch_size: int,
    workers: int,
    augmentation: Augmentation | None,
    *,
    seed: int,
    epoch: int | None,
) -> Iterator[tuple[Image, Mask, list[str]]]:
    """Batches of images, masks and names; shuffled for an epoch, in order for None."""
    scale = getattr(augmentation, "input_scale", 1.0)
    prepared = _Prepared(data, model, scale=scale, seed=seed, epoch=epoch or 0)
    order: Sequence[int] = range(_length(data))
    if epoch is not None:
        order = np.random.default_rng([seed, epoch]).permutation(_length(data)).tolist()
    loader: DataLoader[Any] = DataLoader(
        prepared,
        batch_size=batch_size,
        sampler=order,
        num_workers=workers,
        collate_fn=_collate,
        generator=torch.Generator().manual_seed(0),  # its own, so that the global one stays untouched
    )
    for batch in loader:
        if isinstance(batch, Exception):
            raise batch
        yield batch


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


def _prepare(
    model: Model, image: Image, mask: Mask, augmentation: Augmentation | None, device: torch.device
) -> tuple[Image, Mask]:
    """Move a batch to the device, augment it, and turn it into the model's input and target."""
    image, mask = image.to(device), mask.to(device)
    if augmentation is not None:
        image, mask = augmentation(image, mask)
    if model.preprocessing.source == "mask":
        image = mask
    return model.preprocessing.normalize(image), mask


@torch.no_grad()
def _validate(
    model: Model, data: Samples, batch_size: int, workers: int, device: torch.device, autocast: torch.autocast
) -> dict[str, float]:
    metrics = OnlineMetrics()
    model.eval()
    for image, mask, _ in _batches(data, model, batch_size, workers, None, seed=0, epoch=None):
        image, mask = _prepare(model, image, mask, None, device)
        with autocast:
            logits = model.logits(image)
        metrics.update(logits, mask)
    return metrics.compute()


@contextmanager
def _seeded(*key: int, device: torch.device | None = None) -> Iterator[None]:
    """Random state that is a function of `key` alone; the state found is put back.

    Without a device only the CPU's state is touched, because a loader's worker must not touch CUDA.
    """
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    python, numpy = random.getstate(), np.random.get_state()
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _check_finite(terms: dict[str, Tensor], epoch: int, step: int, names: list[str]) -> None:
    for name, term in terms.items():
        if not torch.isfinite(term):
            raise FloatingPointError(
                f"the loss is not finite: {name} is {float(term.detach())} in epoch {epoch}, step {step}, images "
                f"{', '.join(names)}; lower the learning rate or use precision='float32'"
            )


@torch.no_grad()
def _check_batch_of_one(model: Model, device: torch.device) -> None:
    """Refuse a batch of one where batch norm would see one value per channel."""
    size = model.preprocessing.size
    if size is None:
        return
    single: list[str] = []
    hooks = [
        module.register_forward_pre_hook(
            lambda _, inputs, name=name: single.append(name) if spatial_size(inputs[0]) == (1, 1) else None
        )
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    channels = 1 if model.preprocessing.source == "mask" else 3
    try:
        model.eval()
        model.features(torch.zeros(1, channels, size, size, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    if single:
        raise ValueError(
            f"a batch of one image of {size}x{size} pixels leaves batch norm a single value per channel (in "
            f"{single[0]}); use another batch_size, so that no batch holds one image alone, or larger images"
        )


def _choose_device(device: str | torch.device | None, home: torch.device) -> torch.device:
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else home


def _uses_bfloat16(precision: str, device: torch.device) -> bool:
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision must be auto, float32 or bfloat16; got {precision!r}")
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False


def _new_folder(out: str | Path | None) -> Path | None:
    if out is None:
        return None
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} already holds something; wanted a new folder for this run")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_history(path: Path, history: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def _grouped(values: dict[str, float]) -> dict[str, float]:
    """Sum numbered terms: `side_1`, `side_2`, ... become `side`."""
    grouped: dict[str, float] = {}
    for name, value in values.items():
        group = re.sub(r"_\d+$", "", name)
        grouped[group] = grouped.get(group, 0.0) + value
    return grouped


def _length(data: Samples) -> int:
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(f"a data set needs a length and an index, as a list has; got {type(data).__name__}")
    return len(data)
