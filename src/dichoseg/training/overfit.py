"""`overfit`, a check that a model can learn."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

from torch.utils.data import Dataset, Subset

from ..checking import whole
from ..contracts import Model, Samples, length
from ..data.layouts import open_data
from .loop import fit
from .rows import History

logger = logging.getLogger(__name__)


def overfit(
    model: Model,
    data: Samples | str | Path,
    *,
    batches: int = 4,
    batch_size: int = 8,
    epochs: int = 50,
    **fit_args: Any,
) -> History:
    """Check that model, objective and optimizer can learn: train on a few batches, and validate on the same images.

    Logs whether the loss fell by half. Leave out the augmentation, and the `transform` of the data set.

    Args:
        model: Model to train in place.
        data: Data set, or its folder, as in `fit`, of which the first `batches * batch_size` samples are used.
        batches: Number of batches.
        batch_size: Number of images per batch.
        epochs: Number of passes over these batches; about 50 steps are enough for a clear answer.
        **fit_args: Further arguments of `fit`.

    Returns:
        One row per epoch, as `fit` returns them.
    """
    data, _ = open_data(data, ())
    count = min(whole("batches", batches, least=1) * whole("batch_size", batch_size, least=1), length(data))
    few = Subset(cast(Dataset[Any], data), range(count))
    history = fit(model, few, val_data=few, epochs=epochs, batch_size=batch_size, **fit_args)
    if history.interrupted:
        return history
    losses = [row["loss"] for row in history if row["epoch"] > 0]
    first, last = losses[0], losses[-1]
    told = (
        f"loss {first:.4g} -> {last:.4g} in {len(losses)} epochs, "
        f"quick_max_f {max(row['quick_max_f'] for row in history):.3f}"
    )
    if last < 0.5 * first:
        logger.info("the model can learn a few batches: %s", told)
    else:
        logger.warning(
            "the model has not learned a few batches: %s; it should halve its loss within about 50 steps, so give it "
            "as many, then check the masks, the learning rate and the objective",
            told,
        )
    return history
