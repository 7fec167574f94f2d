"""Validation after each epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch

from ..contracts import Samples, Target, length
from ..metrics.online import OnlineMetrics
from ..records import Metric
from .batches import batches, prepare
from .run_folder import Row
from .step import Stepper


@torch.no_grad()
def validate(
    stepper: Stepper,
    data: Samples,
    *,
    batch_size: int,
    workers: int,
    device: torch.device,
    metrics: Sequence[Metric] = (),
    stop_asked: Callable[[], bool] = lambda: False,
) -> Row | None:
    """Score a stepper's model, or its average, on a validation set, at the network's size.

    The ranks share the batches, and all of them get the scores of a single process to the last digit.

    Args:
        stepper: Stepper, left in eval mode.
        data: Samples or plain pairs.
        batch_size: Number of images per batch.
        workers: Number of worker processes that load data.
        device: Device of the model.
        metrics: Further metrics for `OnlineMetrics`.
        stop_asked: Function that returns whether to give up, called before each batch.

    Returns:
        `val_loss`, the objective in eval mode, averaged over images, and the scores of `OnlineMetrics`; None if any
        rank was asked to stop.
    """
    model, processes = stepper.averaged, stepper.processes
    model.eval()
    stepper.objective.eval()
    own = []
    for image, mask, _ in batches(data, model, batch_size=batch_size, workers=workers, processes=processes):
        if stop_asked():
            break
        image, mask = prepare(model, image, mask, None, device)
        with stepper.autocast:
            prediction = model(image)
        scores = OnlineMetrics(metrics)
        scores.update(prediction.logits, mask)
        own.append((float(stepper.objective(prediction, Target(mask, image))) * len(image), scores))
    if processes.any(stop_asked()):
        return None
    # in the order of the data, so that the sums are one process's to the last digit
    loss, total = 0.0, OnlineMetrics(metrics)
    for turn in itertools.zip_longest(*processes.gather(own)):
        for part in turn:
            if part is not None:
                loss += part[0]
                total.merge(part[1])
    return {"val_loss": loss / length(data), **total.compute()}
