"""Options of the optimizer; this module does not import torch, because the command line shows its options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..checking import choice, number, whole
from .schedules import cosine

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.optim.lr_scheduler import LRScheduler

    MakeOptimizer: TypeAlias = Callable[..., torch.optim.Optimizer]
    MakeSchedule: TypeAlias = Callable[[torch.optim.Optimizer, int], LRScheduler]
else:
    MakeOptimizer = MakeSchedule = Callable


def adamw(parameters: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Return a fused AdamW, the default optimizer of `fit`."""
    import torch

    return torch.optim.AdamW(parameters, lr=lr, fused=True)


Base: TypeAlias = Literal["ignore", "score", "average", "half"]
"""Handling of the initial weights of a model by `fit`."""


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """Options of the optimizer in `fit`: learning rate, schedule, accumulation, clipping, averaging and precision.

    `Optimization(learning_rate=0.1, optimizer=functools.partial(torch.optim.SGD, momentum=0.9))`

    Args:
        learning_rate: Peak learning rate of the optimizer.
        optimizer: Function that makes the optimizer: `optimizer(parameters, lr=learning_rate)`, such as
            `torch.optim.SGD`. `parameters` are the model's trainable ones; for a learning rate of the encoder's own,
            see `parameter_groups`.
        schedule: Function that makes the learning rate schedule: `schedule(optimizer, steps)`, stepped after each step
            of the optimizer, such as `functools.partial(cosine, warmup=500)`.
        accumulate: Number of batches per step of the optimizer; the loss is the mean over their images.
        clip_norm: Maximum norm of the gradient; inf or None disables clipping.
        ema: Decay of an exponential moving average of the weights, such as 0.999. The average is validated, saved and
            kept.
        precision: `auto` is bfloat16 autocast if the hardware has it natively, else float32. `float16` scales the loss
            and skips steps whose gradient overflows.
    """

    learning_rate: float = 1e-3
    optimizer: MakeOptimizer = adamw
    schedule: MakeSchedule = cosine
    accumulate: int = 1
    clip_norm: float | None = 1.0
    ema: float | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    def __post_init__(self) -> None:
        number("learning_rate", self.learning_rate)
        for name, example in (("optimizer", "torch.optim.SGD"), ("schedule", "dichoseg.training.cosine")):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} must be a function, such as {example}; got {getattr(self, name)!r}")
        whole("accumulate", self.accumulate, least=1)
        if self.clip_norm is not None and not (isinstance(self.clip_norm, Real) and self.clip_norm > 0):
            raise ValueError(f"clip_norm must be a number above 0, or None; got {self.clip_norm!r}")
        if self.ema is not None and not (isinstance(self.ema, Real) and 0 < self.ema < 1):
            raise ValueError(f"ema must be between 0 and 1, such as 0.999; got {self.ema!r}")
        choice("precision", self.precision, ("auto", "float32", "bfloat16", "float16"))
