"""One step of training: forward pass, backward pass, and an update after a window of batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from ..contracts import Model, Objective, Target
from ..runtime.device import autocast_dtype, training_layout, warn_of_emulation
from ..runtime.inputs import explained_input
from .optimization import Optimization
from .ranks import Ranks, without_sync

MOST_SKIPPED = 50
"""Number of consecutive steps that the gradient scaler may skip while it searches for a scale."""


class NotFinite(FloatingPointError):
    """A term of the loss, or the norm of the gradient, that is infinite or NaN.

    Args:
        what: `"loss"` or `"gradient"`.
        name: Name of the value.
        value: The value.
    """

    def __init__(self, what: str, name: str, value: float) -> None:
        super().__init__(f"the {what} is not finite: {name} is {value}")
        self.what = what


@contextmanager
def placed(model: Model, objective: Objective, device: torch.device) -> Iterator[None]:
    """Move model and objective to a device, in its fastest layout; restore device, mode and contiguous weights."""
    home, was_training, objective_was = next(model.parameters()).device, model.training, objective.training
    objective_home = next((value.device for value in objective.parameters()), home)
    layout = {parameter: parameter.is_contiguous() for parameter in model.parameters()}
    try:
        for module in (model, objective):
            module.to(device).to(memory_format=training_layout(device))
        yield
    finally:
        model.zero_grad(set_to_none=True)
        model.to(home).train(was_training)
        objective.to(objective_home).train(objective_was)
        for parameter, contiguous in layout.items():
            if contiguous:
                parameter.data = parameter.data.contiguous()


@final
class Stepper:
    """Model, objective, optimizer and schedule, and their steps.

    Args:
        model: Model on its device.
        objective: Objective to minimize, on the same device.
        optimization: Options of the optimizer.
        steps: Number of optimizer steps in the whole run.
        ranks: Ranks that average their gradients.
    """

    def __init__(
        self, model: Model, objective: Objective, optimization: Optimization, *, steps: int, ranks: Ranks
    ) -> None:
        self.model = model
        self.objective = objective
        self.ranks = ranks
        self.clip_norm = math.inf if optimization.clip_norm is None else optimization.clip_norm
        device = next(model.parameters()).device
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = optimization.optimizer(trainable, lr=optimization.learning_rate)
        if not isinstance(self.optimizer, torch.optim.Optimizer):
            raise TypeError(f"optimizer must return a torch.optim.Optimizer; got {self.optimizer!r}")
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.schedule = optimization.schedule(self.optimizer, steps)
        if isinstance(self.schedule, ReduceLROnPlateau):
            raise TypeError("schedule must not need a score, as ReduceLROnPlateau does")
        self.dtype = autocast_dtype(optimization.precision, device)
        warn_of_emulation(self.dtype, device)
        self.autocast = torch.autocast(device.type, self.dtype or torch.bfloat16, enabled=self.dtype is not None)
        self.scaler = GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.skipped = 0
        self.average = None
        if optimization.ema is not None:
            self.average = AveragedModel(model, multi_avg_fn=_moving_average(optimization.ema), use_buffers=True)
            self.average.requires_grad_(False)
        self._terms = ranks.wrap(_Terms(model, objective, self.autocast))

    @property
    def averaged(self) -> Model:
        """Model to evaluate and keep: the average if there is one."""
        return self.model if self.average is None else cast(Model, self.average.module)

    def backward(self, target: Target, *, weight: float, syncs: bool) -> dict[str, float]:
        """Add the gradient of one batch.

        Args:
            target: Masks, the model's input, and the weight of each pixel if some are ignored.
            weight: Weight of this batch in the step's loss.
            syncs: Whether the optimizer moves next; only then do the ranks average their gradients.

        Returns:
            The loss and each of its terms, for this batch.

        Raises:
            NotFinite: One of them is not finite.
        """
        with without_sync(self._terms, not syncs):
            with explained_input(cast(Tensor, target.image)):
                terms: dict[str, Tensor] = self._terms(target)
            loss = torch.stack(list(terms.values())).sum()
            values = torch.stack([loss, *terms.values()]).detach().tolist()  # one sync with the device
            result: dict[str, float] = dict(zip(["loss", *terms], values, strict=True))
            _check_finite("loss", result)
            self.scaler.scale(loss * (weight * self.ranks.world_size)).backward()  # DDP takes the mean
        return result

    def update(self) -> None:
        """Step optimizer, schedule and average.

        Raises:
            NotFinite: The gradient is not finite. With a gradient scaler, only after many skipped steps in a row.
        """
        self.scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.clip_norm))
        if not self.scaler.is_enabled() or self.skipped >= MOST_SKIPPED:
            _check_finite("gradient", {"the gradient's norm": norm})
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.get_scale() < scale:  # the step was skipped
            self.skipped += 1
        else:
            self.skipped = 0
            self.schedule.step()
            if self.average is not None:
                self.average.update_parameters(self.model)
        self._terms.zero_grad(set_to_none=True)  # also parameters that the optimizer does not have


def _check_finite(what: str, values: Mapping[str, float]) -> None:
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        name = next((name for name in broken if name != "loss"), broken[0])  # the term says more than the sum
        raise NotFinite(what, name, values[name])


def _moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Return the update of an exponential moving average; integers, such as counters, are copied."""

    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new.to(old.dtype), 1 - decay)
            else:
                old.copy_(new)

    return update


class _Terms(nn.Module):
    """Model and objective as one module, so that DDP sees which parameters the loss reaches."""

    def __init__(self, model: Model, objective: Objective, autocast: torch.autocast) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.autocast = autocast

    def forward(self, target: Target) -> dict[str, Tensor]:
        with self.autocast:
            prediction = self.model(target.image)
        return self.objective.terms(prediction, target)
