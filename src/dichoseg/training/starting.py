"""Start of a run: its settings are written or its state is restored; unusual batches are logged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..batch_norm import live_batch_norms
from .batches import Batches
from .checkpoint import Stateful, load_state
from .plan import Plan
from .run_folder import STATE, RunFolder

logger = logging.getLogger(__name__)


def resumed(
    plan: Plan, folder: RunFolder, settings: dict[str, Any], parts: Mapping[str, Stateful], *, writes: bool
) -> bool:
    """Restore the state of every part, if a run is resumed; else write the settings of a new one.

    Args:
        plan: Plan of the run.
        folder: Folder of the run.
        settings: What must be equal in a resumed run.
        parts: Moving parts of the run.
        writes: Whether this rank writes files.

    Returns:
        Whether the run is resumed.
    """
    resumes = plan.resume and folder.can_resume()
    if resumes:
        folder.check_settings(settings)
        load_state(folder.path / STATE, parts)
    if writes:
        folder.remove_leftovers()
        if not resumes:
            folder.update_plan(settings=settings)
    return resumes


def log_unusual_batches(plan: Plan, batches: Batches) -> None:
    """Log that images are left out of each epoch, or that batch norm sees one image at a time."""
    left_out = batches.samples - batches.images
    if left_out:
        logger.info(
            "each epoch leaves out %d of the images, others each time, because batch norm needs 2 or more", left_out
        )
    if plan.batch_size == 1 and live_batch_norms(plan.model):
        logger.warning(
            "every batch holds one image, and the model's batch norm takes its statistics from the batch: expect "
            "scores in evaluation that are worse than the loss suggests; use batch_size=4 or more (accumulate= does "
            "not help here)"
        )
