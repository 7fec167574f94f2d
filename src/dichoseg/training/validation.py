"""Validation after each epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from ..contracts import Samples, length
from ..metrics.online import OnlineMetrics
from .loading import batches, prepare
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
    stop_asked: Callable[[], bool] = lambda: False,
) -> Row | None:
    """Score what a stepper's model, or its average, makes of a validation set, at the network's size.

    Its processes share the batches, and all of them get the scores of one process to the last digit.

    Args:
        stepper: Left in eval mode.
        data: Samples or plain pairs.
        batch_size: Images per batch.
        workers: Processes that load.
        device: Where the model is.
        stop_asked: Whether to give up, asked before each batch.

    Returns:
        `val_loss`, the objective in eval mode, averaged over images, and the scores of `OnlineMetrics`. None where any
        of the processes was asked to stop.
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
        metrics = OnlineMetrics()
        metrics.update(prediction.logits, mask)
        own.append((float(stepper.objective(prediction, mask)) * len(image), metrics))
    if processes.any(stop_asked()):
        return None
    # in the order of the data, so that the sums are one process's to the last digit
    loss, total = 0.0, OnlineMetrics()
    for turn in itertools.zip_longest(*processes.gather(own)):
        for part in turn:
            if part is not None:
                loss += part[0]
                total.merge(part[1])
    return {"val_loss": loss / length(data), **total.compute()}
