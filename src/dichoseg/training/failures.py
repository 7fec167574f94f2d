"""Errors in the middle of training, with the images involved and a remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..runtime.memory import is_out_of_memory
from .batches import Batch
from .plan import Plan
from .step import NotFinite


def of_batch(error: NotFinite, plan: Plan, epoch: int, batch: Batch, names: list[str]) -> FloatingPointError:
    """Write the batch of a value that is not finite; return an error that names step, images and file."""
    kept = ""
    if plan.folder is not None:
        path = plan.folder.write_broken_batch(batch.image, batch.mask, batch.names, epoch, batch.step)
        kept = f" (the model's input of the last batch is in {path})"
    return FloatingPointError(
        f"{error} in epoch {epoch}, step {batch.step}, images {', '.join(names)}{kept}; lower the learning rate, or "
        "use precision='float32'"
    )


@contextmanager
def explained_memory(plan: Plan, device: torch.device) -> Iterator[None]:
    """Replace torch's out-of-memory errors by a MemoryError that says what helps."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = max(plan.heights_widths, key=math.prod, default=plan.model.preprocessing.size)
        name = (plan.model.recipe or {}).get("name", type(plan.model).__name__)
        pixels = "the size of the images" if size is None else f"{size} pixels"
        raise MemoryError(
            f"out of memory: {name} at {pixels}, batch_size={plan.batch_size}, on {device}. What helps: a smaller "
            "batch_size with accumulate= raised as much (the same steps); checkpoint_activations(model), which "
            "computes more and keeps less; a smaller "
            + ("maximum of sizes=" if plan.heights_widths else "size= of the model")
        ) from error
