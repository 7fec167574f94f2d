"""Arguments of a training run, checked before it starts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from ..batch_norm import is_uncalibrated
from ..checking import choice, function, whole
from ..contracts import Augmentation, Model, Objective, Samples, length, unwrapped
from ..objectives.default import default_objective
from ..runtime.device import autocast_dtype, choose_device
from ..runtime.seeding import seeded
from ..runtime.workers import leave_if_importing
from .base import SHARES
from .optimization import Base, Optimization
from .ranks import launched
from .rows import Row
from .run_folder import RunFolder
from .selection import DEFAULT_BEST, check_best, score_key
from .sizes import Grouping, Size, check_sizes, least_images

OnEpoch: TypeAlias = Callable[[Model, Row], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Arguments of `fit`, which describes them; what cannot be trained is refused here, before a file is written."""

    model: Model
    train_data: Samples
    val_data: Samples | None = None
    objective: Objective | None = None
    augmentation: Augmentation | None = None
    epochs: int = 10
    batch_size: int = 8
    optimization: Optimization = Optimization()
    best: str = DEFAULT_BEST
    base: Base = "ignore"
    device: str | torch.device | None = None
    workers: int = 0
    seed: int = 0
    out: str | Path | None = None
    resume: bool = False
    on_epoch: OnEpoch | Sequence[OnEpoch] = ()
    progress: bool = True
    sizes: Sequence[int | tuple[int, int]] = ()

    def __post_init__(self) -> None:
        unwrapped(self.model)
        check_numbers(epochs=self.epochs, batch_size=self.batch_size, workers=self.workers, seed=self.seed)
        if self.workers:
            leave_if_importing()
        if not isinstance(self.optimization, Optimization):
            raise TypeError(f"optimization must be an Optimization; got {self.optimization!r}")
        function("augmentation", self.augmentation, "gpu_augmentation('isnet')")
        if self.resume and self.out is None:
            raise ValueError("resume=True continues the run in `out`; got no out")
        if not all(map(callable, self.callbacks)):
            raise TypeError(f"on_epoch must be a function of model and row, or several; got {self.on_epoch!r}")
        score_key(self.best)
        choice("base", self.base, tuple(SHARES))
        if self.base != "ignore" and self.val_data is None:
            raise ValueError(f"base={self.base!r} needs val_data, on which the base is scored")
        if not self.callbacks:  # which may add scores
            check_best(self.best, validates=self.val_data is not None)
        if not isinstance(self.supervision, Objective):
            raise TypeError(f"objective must be an Objective, such as DeepSupervision(loss); got {self.objective!r}")
        self.supervision.check(self.model)
        _check_model(self.model, autocast_dtype(self.optimization.precision, self.target))
        _check_data(self.train_data, self.val_data, self.batch_size)
        _check_sizes(self)
        if self.out is not None:
            RunFolder(self.out, resume=self.resume or not launched().is_first)  # the first rank may have written to it

    @property
    def callbacks(self) -> Sequence[OnEpoch]:
        """Functions to call after each epoch."""
        return self.on_epoch if isinstance(self.on_epoch, Sequence) else (self.on_epoch,)

    @functools.cached_property
    def supervision(self) -> Objective:
        """The objective, by default the model's."""
        return default_objective(self.model) if self.objective is None else self.objective

    @functools.cached_property
    def heights_widths(self) -> tuple[Size, ...]:
        """The sizes as (height, width)."""
        return check_sizes(self.sizes, self.model.preprocessing)

    @functools.cached_property
    def target(self) -> torch.device:
        """The device to train on."""
        return choose_device(self.device, next(self.model.parameters()).device)

    @functools.cached_property
    def folder(self) -> RunFolder | None:
        """The folder of the run, if it has one."""
        return None if self.out is None else RunFolder(self.out, resume=True)


def check_numbers(*, epochs: int, batch_size: int, workers: int, seed: int) -> None:
    """Check the numbers of a run, which need no data."""
    whole("epochs", epochs, least=1)
    whole("batch_size", batch_size, least=1)
    whole("workers", workers, least=0)
    whole("seed", seed, least=0)


def _check_sizes(plan: Plan) -> None:
    world_size = launched().world_size
    least = least_images(plan.model, batch_size=plan.batch_size, world_size=world_size)
    together = plan.batch_size * world_size
    Grouping(plan.train_data, plan.heights_widths, together=together, least=least, seed=plan.seed)


def _check_model(model: Model, autocast: torch.dtype | None) -> None:
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not trainable:
        raise ValueError("the model has no parameter that takes a gradient; is all of it frozen?")
    for name, parameter in trainable.items():
        if parameter.dtype != torch.float32 and not parameter.dtype == autocast == torch.bfloat16:
            raise ValueError(
                f"the model's parameters must be float32 in training; got {name} of {parameter.dtype}: call "
                "model.float(), and choose the precision of the computation by Optimization(precision=...)"
            )
    if is_uncalibrated(model):
        raise ValueError(
            "the model's batch norms are identities, because its file had them folded into the convolutions; in "
            "train mode they would normalize, and the weights would be lost: first call calibrate_batch_norm(model, "
            "images) with one batch, or freeze_batch_norm(model), both in dichoseg.training"
        )


def _check_data(train_data: Samples, val_data: Samples | None, batch_size: int) -> None:
    for name, data in (("train_data", train_data), ("val_data", val_data)):
        if data is not None and length(data) == 0:
            raise ValueError(f"{name} holds no samples")
    samples, world_size = length(train_data), launched().world_size
    if batch_size * world_size > samples:
        each = f" on each of {world_size} ranks" if world_size > 1 else ""
        most = f"{samples // world_size} or less" if samples >= world_size else f"at most {samples} ranks"
        raise ValueError(f"batch_size={batch_size}{each}, but train_data holds {samples} samples; use {most}")
    if val_data is not None:
        with seeded(0):
            empty = not any(
                (val_data[index][1] > 0.5).any() for index in range(length(val_data))
            )  # mostly looks at one
        if empty:
            raise ValueError(
                f"nothing can be validated: val_data holds {length(val_data)} masks and all of them are empty (no "
                "value above 0.5); are they masks, and is their foreground white?"
            )
