"""Forecast of the memory that training takes, without computing anything."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ..batch_norm import freeze_batch_norm as freeze_batch_norms
from ..batch_norm import live_batch_norms
from ..checking import whole
from ..contracts import Model, Objective, Target
from ..objectives.default import default_objective
from ..runtime.device import autocast_dtype, choose_device, training_layout
from ..runtime.inputs import explained_input
from ..runtime.memory import memory_in_use
from ..runtime.seeding import seeded
from ..training.base import SHARES
from ..training.optimization import Base, Optimization
from ..training.parameters import encoder_of, freeze
from ..training.recomputation import checkpoint_activations
from .live_bytes import LiveBytes

RUNTIME = 0.05
"""GB that threads and kernels of the CPU take in their first step."""
FRAGMENTATION = 0.5
"""Fraction of the activations that the C library's heap takes on top of them, once `keep_memory` is set.

Measured: 0.2 to 0.8, for networks of few weights; their freed memory does not always fit tensors of other sizes.
"""


@dataclass(frozen=True, kw_only=True)
class MemoryForecast:
    """Forecast of the peak memory of training, in GB of 1e9 bytes, by what takes it."""

    parameters: float
    """Weights and buffers."""
    gradients: float
    """Gradients of the weights that learn."""
    optimizer: float
    """State of the optimizer: two averages for AdamW."""
    average: float
    """Moving average of the weights."""
    best: float
    """Copies of weights that `fit` keeps in the CPU's memory: the best ones so far, and those that it started from with
    `base="average"`; 0 for other devices."""
    activations: float
    """Further tensors alive at the peak of forward and backward pass. Some are freed before the last gradients exist,
    so that it is less than all that waits for the backward pass."""
    workspace: float
    """Allowance for what kernels and the heap take on top."""
    base: float
    """Memory of this process without the model, on a CPU: libraries, data and all else that it holds now."""

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return sum(getattr(self, field.name) for field in fields(self))

    def text(self) -> str:
        """Return the forecast as a line."""
        parts = ", ".join(f"{field.name} {getattr(self, field.name):.2f}" for field in fields(self))
        return f"{self.total:.2f} GB: {parts}"


def forecast_memory(
    model: Model,
    *,
    size: int | tuple[int, int] | None = None,
    batch_size: int = 1,
    objective: Objective | None = None,
    optimization: Optimization = Optimization(),
    recompute: bool = False,
    freeze_encoder: bool = False,
    freeze_batch_norm: bool = False,
    base: Base = "ignore",
    device: str | torch.device | None = None,
) -> MemoryForecast:
    """Forecast the peak memory of `fit`, without computing and without memory for tensors.

    A copy of the model runs forward and backward on fake tensors, which have a shape but no values, and the bytes that
    live are counted. It is for the process that calls it: `base` is what this process holds. On a GPU, torch's own
    context (about half a GB) comes on top; forecasts were compared with measurements on CPUs only.

    Args:
        model: Model to train, frozen or with recomputation if it is trained so; it is not changed. One made inside
            `torch.device("meta")` needs no memory.
        size: Size of the input. Default: the model's own.
        batch_size: Number of images per batch.
        objective: Objective to minimize. Default: that of `fit`.
        optimization: Optimizer, accumulation, averaging and precision.
        recompute: Whether to train with `checkpoint_activations`.
        freeze_encoder: Whether to train with `freeze(model.encoder)`.
        freeze_batch_norm: Whether to train with `freeze_batch_norm`.
        base: Argument of `fit`.
        device: Device to train on. Default: that of `fit`.
    """
    whole("batch_size", batch_size, least=1)
    home = next(model.parameters()).device
    target = choose_device(device, torch.device("cpu") if home.type == "meta" else home)
    objective = default_objective(model) if objective is None else objective
    objective.check(model)
    process = _base(model) if target.type == "cpu" else 0.0
    with torch.inference_mode(False), torch.enable_grad(), seeded(0), FakeTensorMode(allow_non_fake_inputs=True):
        fake_model, fake_objective = _fake_copies(model, objective, training_layout(target))
        if freeze_batch_norm and live_batch_norms(fake_model):
            freeze_batch_norms(fake_model)
        if freeze_encoder:
            freeze(encoder_of(fake_model))
        if recompute:
            checkpoint_activations(fake_model)
        shape = batch_size, model.preprocessing.channels, *_height_width(model, size)
        gradients, peak = _trace(fake_model, fake_objective, shape, optimization, target)
    own, learned = _gigabytes(_tensors(fake_model)), _gigabytes(_trainable(fake_model))
    return MemoryForecast(
        parameters=own + _gigabytes(_tensors(fake_objective)),
        gradients=gradients,
        optimizer=learned * _states_per_parameter(optimization),
        average=0.0 if optimization.ema is None else own,
        best=own * (2 if SHARES[base] else 1) if target.type == "cpu" else 0.0,
        activations=peak - gradients,
        workspace=(RUNTIME if target.type == "cpu" else 0.0) + FRAGMENTATION * (peak - gradients),
        base=process,
    )


def _trace(
    model: Model, objective: Objective, shape: tuple[int, ...], optimization: Optimization, device: torch.device
) -> tuple[float, float]:
    """Return the GB of gradients, and the peak of gradients and activations, of one step on fake tensors."""
    dtype = autocast_dtype(optimization.precision, device)
    with LiveBytes([*_tensors(model), *_tensors(objective)]) as live:
        image = torch.empty(shape, memory_format=training_layout(device))
        target = Target(torch.empty(shape[0], 1, *shape[2:]), image)
        if optimization.accumulate > 1:  # the gradients of earlier batches
            for parameter in _trainable(model):
                parameter.grad = torch.zeros_like(parameter)
        with explained_input(image):
            _loss(model, objective, target, dtype).backward()
    gradients = [parameter.grad for parameter in _trainable(model) if parameter.grad is not None]
    return _gigabytes(gradients), live.peak / 1e9


def _loss(model: Model, objective: Objective, target: Target, dtype: torch.dtype | None) -> Tensor:
    """Return the loss as `fit` computes it; the prediction is freed here."""
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        prediction = model(target.image)
    return torch.stack(list(objective.terms(prediction, target).values())).sum()


def _fake_copies(model: Model, objective: Objective, layout: torch.memory_format) -> tuple[Model, Objective]:
    """Copy model and objective, in train mode and the given layout, with fake tensors for all of theirs."""

    def fake(tensor: Tensor) -> Tensor:
        memory_format = layout if tensor.ndim == 4 else torch.contiguous_format
        return torch.empty(tensor.shape, dtype=tensor.dtype, memory_format=memory_format)

    memo: dict[int, Any] = {}
    for module in (model, objective):
        memo |= {id(value): nn.Parameter(fake(value), value.requires_grad) for value in module.parameters()}
        memo |= {id(value): fake(value) for value in module.buffers()}
    return copy.deepcopy(model, memo).train(), copy.deepcopy(objective, memo).train()


def _states_per_parameter(optimization: Optimization) -> float:
    """Return how many values an optimizer keeps for each one that it trains, by a step on 16 values."""
    parameter = nn.Parameter(torch.zeros(4, 4))
    parameter.grad = torch.zeros(4, 4)
    optimizer = optimization.optimizer([parameter], lr=optimization.learning_rate)
    optimizer.param_groups[:] = [optimizer.param_groups[0] | {"params": [parameter]}]  # it may have chosen its own
    optimizer.step()
    states = [value for value in optimizer.state[parameter].values() if isinstance(value, Tensor)]
    return sum(value.numel() == parameter.numel() for value in states)


def _base(model: Model) -> float:
    """Return the memory of this process in GB, without the model's."""
    held = [value for value in _tensors(model) if value.device.type == "cpu"]
    return max(0.0, memory_in_use() - _gigabytes(held))


def _height_width(model: Model, size: int | tuple[int, int] | None) -> tuple[int, int]:
    found = model.preprocessing.with_size(size).height_width
    if found is None:
        raise ValueError("size must be given, since the model has no size of its own; got None")
    return found


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _gigabytes(tensors: Iterable[Tensor]) -> float:
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values()) / 1e9
