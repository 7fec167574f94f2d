"""One step of training: forward, backward, and the optimiser's move after a window of batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, cast, final

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from ..contracts import Image, Mask, Model, Objective, Target
from ..runtime.device import CHANNELS_LAST
from .processes import Processes

MOST_LEFT_OUT = 50
Check: TypeAlias = Callable[[dict[str, float]], None]


@contextmanager
def placed(model: Model, objective: Objective, device: torch.device) -> Iterator[None]:
    """Put both on a device, channels last, for a while; the model then returns to where and how it was."""
    home, was_training, objective_was = next(model.parameters()).device, model.training, objective.training
    layout = {parameter: parameter.is_contiguous() for parameter in model.parameters()}
    try:
        for module in (model, objective):
            module.to(device)
            if device.type in CHANNELS_LAST:
                module.to(memory_format=torch.channels_last)
        yield
    finally:
        model.zero_grad(set_to_none=True)
        model.to(home).train(was_training)
        objective.to(home).train(objective_was)
        for parameter, contiguous in layout.items():
            if contiguous:
                parameter.data = parameter.data.contiguous()


@final
class Stepper:
    """Model, objective, optimiser and schedule, and how they take a step.

    Args:
        model: On its device, as are the following.
        objective: What is minimised.
        optimizer: Of the model's trainable parameters.
        schedule: Of the optimiser; it moves with it.
        dtype: Of autocast; None is float32. With float16 the loss is scaled, and a step whose gradient overflows is
            left out.
        clip_norm: Largest norm of the gradient, or None.
        ema: Share of the old in the running average of the weights, or None for no average.
        processes: Who takes the step together.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        schedule: LRScheduler,
        *,
        dtype: torch.dtype | None,
        clip_norm: float | None,
        ema: float | None,
        processes: Processes,
    ) -> None:
        self.model = model
        self.objective = objective
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.processes = processes
        self.dtype = dtype
        self.left_out = 0
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        device = next(model.parameters()).device
        self.autocast = torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)
        self.scaler = GradScaler(device.type, enabled=dtype == torch.float16)
        self.average = None
        if ema is not None:
            self.average = AveragedModel(model, multi_avg_fn=_moving_average(ema), use_buffers=True)
            self.average.requires_grad_(False)
        self._terms = processes.synchronised(_Terms(model, objective, self.autocast))

    @property
    def averaged(self) -> Model:
        """What is evaluated and kept: the average where there is one, else the model."""
        return self.model if self.average is None else cast(Model, self.average.module)

    def backward(self, image: Image, mask: Mask, *, share: float, last: bool, check: Check) -> dict[str, float]:
        """Add the gradient of one batch.

        Args:
            image: Normalised.
            mask: At the image's size.
            share: Of this batch in the step's loss, over all processes.
            last: Whether the optimiser moves next; only then do processes exchange gradients.
            check: Gets what will be returned, before the backward pass.

        Returns:
            The loss and each of its terms, for the batch alone.
        """
        with self.processes.without_exchange(self._terms, not last):
            terms: dict[str, Tensor] = self._terms(image, mask)
            loss = torch.stack(list(terms.values())).sum()
            values = torch.stack([loss, *terms.values()]).detach().tolist()  # one wait for the device
            result: dict[str, float] = dict(zip(["loss", *terms], values, strict=True))
            check(result)
            self.scaler.scale(loss * (share * self.processes.count)).backward()  # processes take the mean
        return result

    def move(self, *, check: Check) -> None:
        """Let optimiser, schedule and average take a step.

        Args:
            check: Gets the norm of the gradient before. Where the loss is scaled, it does so only after many steps in
                a row were left out: some are how a scale is found.
        """
        self.scaler.unscale_(self.optimizer)
        largest = math.inf if self.clip_norm is None else self.clip_norm
        norm = float(nn.utils.clip_grad_norm_(self.parameters, largest))
        if not self.scaler.is_enabled() or self.left_out >= MOST_LEFT_OUT:
            check({"the gradient's norm": norm})
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.left_out += 1
        if self.scaler.get_scale() >= scale:  # else the step was left out
            self.left_out = 0
            self.schedule.step()
            if self.average is not None:
                self.average.update_parameters(self.model)
        self.optimizer.zero_grad(set_to_none=True)


def _moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Exponential moving average; numbers that are no floats, such as counters, are taken as they are."""

    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new.to(old.dtype), 1 - decay)
            else:
                old.copy_(new)

    return update


class _Terms(nn.Module):
    """A model and its objective as one module, so that processes see which parameters the loss reaches."""

    def __init__(self, model: Model, objective: Objective, autocast: torch.autocast) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.autocast = autocast

    def forward(self, image: Image, mask: Mask) -> dict[str, Tensor]:
        with self.autocast:
            prediction = self.model(image)
        return self.objective.terms(prediction, Target(mask, image))
