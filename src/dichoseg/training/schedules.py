"""How the learning rate moves over a run: what `fit(schedule=...)` takes.

Each is a function of an optimiser and the number of its steps, such as `functools.partial(cosine, warmup=500)`. Its
result moves after every step of the optimiser. The rate at each step is a closed form of the step's number, which
multiplies each parameter group's own rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def cosine(optimizer: torch.optim.Optimizer, steps: int, *, warmup: int = 0) -> LRScheduler:
    """Half a cosine from the full rate down to zero: the default schedule of `fit`.

    Source: SGDR (arXiv:1608.03983), without restarts; without warm-up the rates of
    `torch.optim.lr_scheduler.CosineAnnealingLR`.

    Args:
        optimizer: Its groups' rates are the full ones.
        steps: Of the optimiser, in the whole run.
        warmup: Steps at the beginning in which the rate rises linearly to the full one; the cosine takes the rest.

    Raises:
        ValueError: No steps, or a warm-up that is negative or leaves no step.
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
    """The full rate, multiplied by a factor at given shares of the run.

    Args:
        optimizer: Its groups' rates are the full ones.
        steps: Of the optimiser, in the whole run.
        at: Shares of the run, between 0 and 1: 0.6 is the first step after 60 % of them.
        factor: Between 0 and 1, applied at each share.
        warmup: Steps at the beginning in which the rate rises linearly to the full one.

    Raises:
        ValueError: No steps, a share or a factor that is not between 0 and 1, or a warm-up that is negative or leaves
            no step.
    """
    if not at or not all(0 < share < 1 for share in at):
        raise ValueError(f"at must hold shares of the run, between 0 and 1, such as (0.6, 0.9); got {at}")
    if not 0 < factor < 1:
        raise ValueError(f"factor must be between 0 and 1; got {factor}")
    return _schedule(optimizer, steps, warmup, lambda done: factor ** sum(done / steps >= share for share in at))


def constant(optimizer: torch.optim.Optimizer, steps: int, *, warmup: int = 0) -> LRScheduler:
    """The full rate throughout.

    Args:
        optimizer: Its groups' rates are the full ones.
        steps: Of the optimiser, in the whole run.
        warmup: Steps at the beginning in which the rate rises linearly to the full one.

    Raises:
        ValueError: No steps, or a warm-up that is negative or leaves no step.
    """
    return _schedule(optimizer, steps, warmup, lambda done: 1.0)


def _schedule(optimizer: torch.optim.Optimizer, steps: int, warmup: int, share: Callable[[int], float]) -> LRScheduler:
    """A schedule of `share`, by the number of steps done, with the warm-up multiplied in."""
    if steps < 1:
        raise ValueError(f"steps must be 1 or more; got {steps}")
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must be 0 or more, and less than the {steps} steps of the run; got {warmup}")
    return LambdaLR(optimizer, lambda done: min(1.0, (done + 1) / (warmup + 1)) * share(done))
