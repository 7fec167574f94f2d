"""Validation after each epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch

from ..metrics.online import OnlineMetrics
from ..records import Metric
from .batches import Batches
from .rows import Row
from .step import Stepper


@torch.no_grad()
def validate(
    stepper: Stepper,
    data: Batches,
    *,
    metrics: Sequence[Metric] = (),
    stop_asked: Callable[[], bool] = lambda: False,
) -> Row | None:
    """Score a stepper's model, or its average, at the network's size.

    The ranks share the batches, and all of them get the scores of a single process to the last digit.

    Args:
        stepper: Stepper, left in eval mode.
        data: Batches of the validation set.
        metrics: Further metrics for `OnlineMetrics`.
        stop_asked: Function that returns whether to give up, called before each batch.

    Returns:
        `val_loss`, the objective in eval mode, averaged over images, and the scores of `OnlineMetrics`; None if any
        rank was asked to stop.
    """
    model, ranks = stepper.averaged.eval(), stepper.ranks
    stepper.objective.eval()
    own = []
    for batch in data.in_order():
        if stop_asked():
            break
        with stepper.autocast:
            prediction = model(batch.image)
        scores = OnlineMetrics(metrics)
        scores.update(prediction.logits, batch.mask, batch.weight)
        loss = float(stepper.objective(prediction, batch.target))
        own.append((loss * len(batch.image), scores))
    if ranks.any(stop_asked()):
        return None
    # in the order of the data, so that the sums are one process's to the last digit
    loss, total = 0.0, OnlineMetrics(metrics)
    for turn in itertools.zip_longest(*ranks.gather(own)):
        for part in turn:
            if part is not None:
                loss += part[0]
                total.merge(part[1])
    return {"val_loss": loss / data.samples, **total.compute()}
