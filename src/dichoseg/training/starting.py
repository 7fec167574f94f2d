"""Start of a run: its settings are written, or its state is restored."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from ..batch_norm import live_batch_norms
from .checkpoint import load_state
from .run_folder import STATE
from .settings import settings_of

if TYPE_CHECKING:
    from .session import Session

logger = logging.getLogger(__name__)


def start(session: Session) -> None:
    """Write the plan, or resume the run; log unusual batches."""
    plan, folder, is_first = session.plan, session.plan.folder, session.ranks.is_first
    if folder is not None:
        settings = settings_of(plan, session.stepper)
        if plan.resume and folder.can_resume():
            folder.check_settings(settings)
            load_state(folder.path / STATE, session.parts)
            session.callbacks.resume(session.cursor.history)
            if session.cursor.best_score > -math.inf:
                session.best_state = folder.weights("best")
            if plan.base == "average":
                session.base_state = folder.weights("base")
            if is_first:
                folder.remove_leftovers()
        elif is_first:
            folder.remove_leftovers()
            folder.update_plan(settings=settings)
    reached = session.ranks.gather((session.cursor.epoch, session.cursor.step))
    if len(set(reached)) > 1:
        raise RuntimeError(
            f"the processes resume from different states {reached}; do they share the folder {plan.out}?"
        )
    left_out = session.training.samples - session.training.images
    if is_first and left_out:
        logger.info(
            "%d images are left out of each epoch, others each time, because batch norm needs 2 or more", left_out
        )
    if is_first and plan.batch_size == 1 and live_batch_norms(plan.model):
        logger.warning(
            "every batch holds one image, and the model's batch norm takes its statistics from the batch: expect "
            "scores in evaluation that are worse than the loss suggests; use batch_size=4 or more (accumulate= does "
            "not help here)"
        )
