"""Learning rate schedules for `Optimization(schedule=...)`.

Each is a function of an optimizer and its number of steps, such as `functools.partial(cosine, warmup=500)`. The
learning rate is a closed form of the step, which multiplies the rate of each parameter group. This module does not
import torch, because the command line shows options that have these functions as defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch.optim.lr_scheduler import LRScheduler


def cosine(optimizer: torch.optim.Optimizer, steps: int, *, warmup: int = 0) -> LRScheduler:
    """Decay the learning rate to zero along half a cosine, the default schedule of `fit`.

    Source: SGDR (arXiv:1608.03983), without restarts; without warmup equal to
    `torch.optim.lr_scheduler.CosineAnnealingLR`.

    Args:
        optimizer: Optimizer whose learning rates are the peaks.
        steps: Number of optimizer steps in the whole run.
        warmup: Number of steps in which the learning rate rises linearly first; the cosine takes the rest.
    """
    return _schedule(
        optimizer, steps, warmup, lambda done: (1 + math.cos(math.pi * max(0, done - warmup) / (steps - warmup))) / 2
    )


def step_decay(
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    at: Sequence[float] = (0.6, 0.9),
    factor: float = 0.1,
    warmup: int = 0,
) -> LRScheduler:
    """Multiply the learning rate by a factor at given fractions of the run.

    Args:
        optimizer: Optimizer whose learning rates are the peaks.
        steps: Number of optimizer steps in the whole run.
        at: Fractions of the run, between 0 and 1: 0.6 is the first step after 60 % of them.
        factor: Factor between 0 and 1, applied at each fraction.
        warmup: Number of steps in which the learning rate rises linearly first.
    """
    if not at or not all(0 < fraction < 1 for fraction in at):
        raise ValueError(f"at must hold fractions of the run, between 0 and 1, such as (0.6, 0.9); got {at}")
    if not 0 < factor < 1:
        raise ValueError(f"factor must be between 0 and 1; got {factor}")
    return _schedule(optimizer, steps, warmup, lambda done: factor ** sum(done / steps >= fraction for fraction in at))


def constant(optimizer: torch.optim.Optimizer, steps: int, *, warmup: int = 0) -> LRScheduler:
    """Keep the learning rate constant.

    Args:
        optimizer: Optimizer whose learning rates are the peaks.
        steps: Number of optimizer steps in the whole run.
        warmup: Number of steps in which the learning rate rises linearly first.
    """
    return _schedule(optimizer, steps, warmup, lambda done: 1.0)


def _schedule(optimizer: torch.optim.Optimizer, steps: int, warmup: int, decay: Callable[[int], float]) -> LRScheduler:
    """Return a schedule that multiplies `decay`, a function of the number of steps done, with the warmup."""
    from torch.optim.lr_scheduler import LambdaLR

    if steps < 1:
        raise ValueError(f"steps must be 1 or more; got {steps}")
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must be 0 or more, and less than the {steps} steps of the run; got {warmup}")
    return LambdaLR(optimizer, lambda done: min(1.0, (done + 1) / (warmup + 1)) * decay(done))
