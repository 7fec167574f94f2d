"""Ways to train within a given memory, by forecast."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..batch_norm import live_batch_norms
from ..checking import number, whole
from ..contracts import Model, Objective
from ..training.optimization import Base, Optimization
from .forecast import MemoryForecast, forecast_memory


@dataclass(frozen=True, kw_only=True)
class _Way:
    recompute: bool
    freeze_encoder: bool
    size: int | tuple[int, int] | None
    """Size of the input; None is the model's own."""


@dataclass(frozen=True, kw_only=True)
class FittingOption(_Way):
    """A way to train within some memory: arguments of a run, and its forecast."""

    batch_size: int
    accumulate: int
    """Number of batches per step of the optimizer."""
    forecast: MemoryForecast


def fitting_options(
    model: Model,
    memory_gb: float,
    *,
    batch_size: int = 8,
    size: int | tuple[int, int] | None = None,
    smaller_sizes: Sequence[int | tuple[int, int]] = (),
    objective: Objective | None = None,
    optimization: Optimization = Optimization(),
    freeze_batch_norm: bool = False,
    base: Base = "ignore",
    device: str | torch.device | None = None,
) -> list[FittingOption]:
    """Return ways to train within some memory, the least harmful first: as asked, if that fits.

    Ways are to recompute activations, a smaller size, and to freeze the encoder, in this order; each with the largest
    batch that fits, halved and accumulated, so that steps have as many images. The list ends with the first way in
    which the whole batch fits. A batch of one image is not tried if batch norm is live and more images are asked for.

    Args:
        model: Model to train; it is not changed.
        memory_gb: Memory in GB of 1e9 bytes, such as `describe_machine().training_memory_gb`.
        batch_size: Number of images per batch that is asked for.
        size: Size of the input. Default: the model's own.
        smaller_sizes: Sizes to try if `size` does not fit, the largest first. Default: none.
        objective: Objective to minimize. Default: that of `fit`.
        optimization: Optimizer, accumulation, averaging and precision.
        freeze_batch_norm: Whether to train with `freeze_batch_norm`.
        base: Argument of `fit`.
        device: Device to train on. Default: that of `fit`.

    Raises:
        ValueError: Nothing fits; the message holds the smallest forecast.
    """
    number("memory_gb", memory_gb)
    whole("batch_size", batch_size, least=1)
    accumulate = optimization.accumulate
    live = bool(live_batch_norms(model)) and not freeze_batch_norm

    def option(batch: int, way: _Way) -> FittingOption:
        steps = accumulate * batch_size // batch
        forecast = forecast_memory(
            model,
            batch_size=batch,
            objective=objective,
            optimization=dataclasses.replace(optimization, accumulate=steps),
            freeze_batch_norm=freeze_batch_norm,
            base=base,
            device=device,
            **dataclasses.asdict(way),
        )
        return FittingOption(batch_size=batch, accumulate=steps, forecast=forecast, **dataclasses.asdict(way))

    options: list[FittingOption] = []
    smallest = math.inf
    *larger, least = _halvings(batch_size, least=2 if live else 1)
    for way in _ways(model, (size, *smaller_sizes)):
        found = option(least, way)
        smallest = min(smallest, found.forecast.total)
        if found.forecast.total <= memory_gb:
            trials = (option(batch, way) for batch in larger)
            options.append(next((trial for trial in trials if trial.forecast.total <= memory_gb), found))
            if options[-1].batch_size == batch_size:
                break
    if not options:
        raise ValueError(f"nothing fits {memory_gb:g} GB: the smallest forecast is {smallest:.2f} GB")
    return options


def _ways(model: Model, sizes: Sequence[int | tuple[int, int] | None]) -> Iterator[_Way]:
    """Yield all ways to train, the least harmful first."""
    for frozen in (False, True) if hasattr(model, "encoder") else (False,):
        for size in sizes:
            for recompute in (False, True):
                yield _Way(recompute=recompute, freeze_encoder=frozen, size=size)


def _halvings(batch_size: int, *, least: int) -> list[int]:
    """Return a batch size and its halves, down to the least, largest first."""
    batches = [batch_size]
    while batches[-1] % 2 == 0 and batches[-1] // 2 >= least:
        batches.append(batches[-1] // 2)
    return batches
