"""The weights that fine-tuning starts from, and their averages with the trained ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ..batch_norm import live_batch_norms
from ..contracts import Model
from .batches import Batch
from .optimization import Base

SHARES: Mapping[Base, tuple[float, ...]] = {"ignore": (), "score": (), "average": (0.75, 0.5, 0.25), "half": (0.5,)}
"""Shares of the base in the averages that are scored, by the argument `base` of `fit`."""
STATISTICS_BATCHES = 50
"""Maximum number of training batches from which the statistics of batch norm are recomputed."""


def interpolate(base: Mapping[str, Tensor], trained: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return the average of two states, in which the base has a share; counters are the trained ones.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (arXiv:2109.01903).
    """
    return {
        name: value.lerp(base[name].to(value), share) if value.is_floating_point() else value
        for name, value in trained.items()
    }


@torch.no_grad()
def recompute_statistics(model: Model, batches: Iterable[Batch], autocast: torch.autocast) -> None:
    """Set the running statistics of live batch norms, if there are any, to their means over some batches."""
    norms = live_batch_norms(model)
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    for batch in batches:
        with autocast:
            model(batch.image)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def state_on_cpu(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a model's state on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
