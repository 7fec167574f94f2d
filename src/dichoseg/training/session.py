"""Life cycle of a run of `fit`, and the work of its loop."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import final

import torch
from torch import Tensor

from ..contracts import Objective
from ..runtime.progress import announce, tracked
from ..runtime.signals import stoppable
from .base import SHARES, STATISTICS_BATCHES, interpolate, recompute_statistics, state_on_cpu
from .batches import Batch, Batches
from .callbacks import Callbacks
from .checkpoint import Cursor, Stateful, parts_of, save_state
from .failures import explained_memory, of_batch
from .first_epoch import FirstEpoch
from .plan import Plan
from .ranks import Ranks, joined, launched
from .rows import History, Meter, Row, grouped
from .run_folder import STATE
from .selection import DEFAULT_BEST, best_epoch, find_key, score_key, score_of
from .settings import settings_of
from .starting import log_unusual_batches, resumed
from .step import NotFinite, Stepper, placed
from .validation import validate

logger = logging.getLogger(__name__)


@contextmanager
def open_session(plan: Plan) -> Iterator[Session]:
    """Set up a run inside the block; process group, signals, grad mode, device and mode are restored afterwards."""
    device = launched().device(plan.target)
    folder = plan.folder if launched().is_first else None
    with (
        nullcontext() if folder is None else folder.alone(resume=plan.resume),
        torch.inference_mode(False),
        torch.enable_grad(),
        joined(plan.target) as ranks,
        stoppable(plan.folder is not None) as stop_asked,
        explained_memory(plan, device),
        placed(plan.model, plan.supervision, device),
    ):
        session = Session(plan, ranks, device, stop_asked)
        try:
            session.start()
            yield session
        finally:
            for batches in filter(None, (session.training, session.validation)):
                batches.close()


@final
class Session:
    """One run: its batches, optimizer and progress, and the work of each step and epoch.

    Args:
        plan: Checked arguments.
        ranks: Ranks that train together.
        device: Device of this rank.
        stop_asked: Function that returns whether this process was asked to stop.
    """

    meter: Meter
    counts: list[int]
    """Number of images in each batch of the epoch, on all ranks."""

    def __init__(self, plan: Plan, ranks: Ranks, device: torch.device, stop_asked: Callable[[], bool]) -> None:
        self.plan, self.ranks, self.device, self.stop_requested = plan, ranks, device, stop_asked
        model, batch_size, workers = plan.model, plan.batch_size, plan.workers
        self.training = Batches(
            plan.train_data, model, batch_size=batch_size, augmentation=plan.augmentation, device=device,
            workers=workers, seed=plan.seed, ranks=ranks, sizes=plan.heights_widths,
        )  # fmt: skip
        self.validation = None
        if plan.val_data is not None:
            self.validation = Batches(
                plan.val_data, model, batch_size=batch_size, device=device, workers=workers, ranks=ranks
            )
        updates = math.ceil(len(self.training) / plan.optimization.accumulate) * plan.epochs
        self.stepper = Stepper(model, plan.supervision, plan.optimization, steps=updates, ranks=ranks)
        self.callbacks = Callbacks(plan.callbacks)
        self.cursor = Cursor()
        self.first_epoch = FirstEpoch()
        self.best_state: dict[str, Tensor] | None = None
        self.base_state: dict[str, Tensor] | None = None
        """Weights that the model came with, if they are still to be averaged with the trained ones."""
        self.window_ends = True
        self.names: list[str] = []
        """Names of the samples since the last update."""
        self.parts: dict[str, Stateful] = {
            **parts_of(self.stepper),
            "cursor": self.cursor,
            "callbacks": self.callbacks,
        }

    def start(self) -> None:
        """Write the plan, or resume the run; log unusual batches."""
        plan, folder = self.plan, self.plan.folder
        if folder is not None and resumed(
            plan, folder, settings_of(plan, self.stepper), self.parts, writes=self.ranks.is_first
        ):
            self.callbacks.resume(self.cursor.history)
            if self.cursor.best_score > -math.inf:
                self.best_state = folder.weights("best")
            if SHARES[plan.base] and not self.cursor.averages:
                self.base_state = folder.weights("base")
        reached = self.ranks.gather((self.cursor.epoch, self.cursor.step))
        if len(set(reached)) > 1:
            raise RuntimeError(
                f"the processes resume from different states {reached}; do they share the folder {plan.out}?"
            )
        if self.ranks.is_first:
            log_unusual_batches(plan, self.training)

    def score_base(self) -> bool:
        """Score the weights that the model came with, as epoch 0, if that is asked for and not done yet.

        Returns:
            False if validation was interrupted.
        """
        if self.plan.base == "ignore" or self.cursor.history:
            return True
        if self.plan.folder is not None and self.ranks.is_first:
            self.plan.folder.write_base(self.plan.model)
        if SHARES[self.plan.base]:
            self.base_state = state_on_cpu(self.plan.model)
        started = time.perf_counter()
        scores = self._scores()
        if scores is None:
            return False
        row: Row = {"epoch": 0, **scores, "seconds": time.perf_counter() - started}
        if find_key(row, self.plan.best) is None and self.ranks.is_first:
            logger.warning("%s is not known of the base, which therefore cannot be the best", self.plan.best)
        self._announce("base", row)
        self.cursor.epoch = 0
        self._keep(row, terms={}, required=False)
        return True

    def epochs(self) -> Iterator[int]:
        """Yield the epochs to train, from the one that the run has reached."""
        while not self.cursor.is_over(self.plan.epochs):
            yield self.cursor.epoch

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the remaining batches of an epoch, and show the progress."""
        self.plan.model.train()
        self.plan.supervision.train()
        for module in self.plan.supervision.modules():
            if isinstance(module, Objective):
                module.start_epoch(epoch, self.plan.epochs)
        done = self.cursor.step
        if done == 0 or self.cursor.learning_rate is None:
            self.cursor.learning_rate = float(self.stepper.schedule.get_last_lr()[0])
        self.counts = self.training.counts(epoch)
        self.meter = Meter(self.cursor.totals if self.ranks.is_first else {}, seen=sum(self.counts[:done]))
        yield from tracked(
            self.training.epoch(epoch, start=done),
            f"epoch {epoch}/{self.plan.epochs}",
            len(self.training),
            shown=self.plan.progress and self.ranks.is_first,
            start=done,
            status=self.meter.text,
        )

    def step(self, batch: Batch) -> None:
        """Add the gradient of a batch; at the end of an accumulation window, update the weights."""
        if self.cursor.epoch == 1 and self.ranks.is_first:
            self.first_epoch.see(batch.mask)
        begins, images, self.window_ends = window(self.counts, batch.step, self.plan.optimization.accumulate)
        self.names = batch.names if begins else self.names + batch.names
        started = time.perf_counter()
        try:
            with batch.seeded():
                values = self.stepper.backward(batch.target, weight=batch.own / images, syncs=self.window_ends)
            if self.window_ends:
                self.stepper.update()
                self.cursor.step = batch.step
        except NotFinite as error:
            names = self.names if error.what == "gradient" else batch.names
            raise of_batch(error, self.plan, self.cursor.epoch, batch, names) from None
        self.meter.add(values, batch.own, time.perf_counter() - started)

    def stop_asked(self) -> bool:
        """Return whether all ranks should stop here: one was asked to, and no window or epoch is about to end."""
        ends = self.cursor.step == len(self.training) or self.cursor.is_over(self.plan.epochs)
        return self.window_ends and not ends and self.ranks.any(self.stop_requested())

    def close(self, epoch: int) -> bool:
        """Validate, call the callbacks, keep the best weights and write the run's files, its state last.

        Returns:
            False if validation was interrupted; the epoch is then closed when the run is resumed.
        """
        plan, stepper, cursor = self.plan, self.stepper, self.cursor
        self.meter.end_training()
        cursor.totals = self.ranks.sum(self.meter.totals)
        terms = {name: total / self.training.images for name, total in cursor.totals.items()}
        if epoch == 1 and self.ranks.is_first:
            self.first_epoch.end({name: mean for name, mean in terms.items() if name != "loss"})
        for module in (plan.model, stepper.averaged):
            self.ranks.copy_buffers_of_first(module)
        row: Row = {"epoch": epoch, **terms, "learning_rate": self.cursor.learning_rate or 0.0}
        if self.validation is not None:
            scores = self._scores()
            if scores is None:
                return False
            row |= scores
        row |= self.meter.times(self.training.images, self.device.type)
        self._call_callbacks(row)
        self._keep(row, terms=terms, required=plan.val_data is not None or plan.best != DEFAULT_BEST)
        return True

    def interrupt(self) -> History:
        """Save the state of a run that was asked to stop; return its history."""
        if 0 < self.cursor.step < len(self.training):
            self.cursor.totals = self.ranks.sum(self.meter.totals)
        if self.cursor.step > 0:  # else the end of the epoch has saved it
            self._save()
        if self.ranks.is_first:
            epoch = f"in epoch {self.cursor.epoch}"
            place = "after the last epoch" if self.cursor.is_over(self.plan.epochs) else epoch
            logger.warning("stopped %s; resume=True continues from there", place)
        history = History(self.cursor.history)
        history.interrupted = True
        return history

    def finish(self) -> History:
        """Give the model its best weights, or the average if nothing was validated; return the history."""
        if self.base_state is not None and not self._average_with_base():
            return self.interrupt()
        history = History(self.cursor.history, averages=self.cursor.averages, base_share=self.cursor.base_share)
        if self.best_state is not None:
            self.plan.model.load_state_dict(self.best_state)
        elif self.stepper.average is not None:
            self.plan.model.load_state_dict(self.stepper.averaged.state_dict())
        if self.best_state is None and history and (key := find_key(history[-1], self.plan.best)) is not None:
            logger.warning("%s was not a number in any epoch: the last weights are kept", key)
        return history

    def _average_with_base(self) -> bool:
        """Score averages of the base and trained weights, and keep the best; return False if interrupted."""
        plan, cursor, model = self.plan, self.cursor, self.stepper.averaged
        best, last, chooses = best_epoch(cursor.history, plan.best), state_on_cpu(model), plan.base == "average"
        trained = self.best_state if chooses and best and self.best_state is not None else last
        base, averages = self.base_state or {}, list[Row]()
        kept: tuple[Row, dict[str, Tensor]] | None = None
        for share in SHARES[plan.base]:
            model.load_state_dict(interpolate(base, trained, share))
            batches = itertools.islice(self.training.epoch(self.plan.epochs + 1), STATISTICS_BATCHES)
            recompute_statistics(model, batches, self.stepper.autocast)
            self.ranks.copy_buffers_of_first(model)
            scores = self._scores()
            if scores is None:
                model.load_state_dict(last)
                return False
            row: Row = {"base_share": share, **scores}
            self._announce(f"average with {share:.0%} of the base", row)
            averages.append(row)
            score = score_of(row, plan.best, terms={"base_share"}, required=False)
            if score > cursor.best_score or not chooses:
                cursor.best_score, cursor.base_share = score, share
                kept = row, state_on_cpu(model)
        if kept is not None:
            row, self.best_state = kept
            model.load_state_dict(self.best_state)
            if plan.folder is not None and self.ranks.is_first:
                plan.folder.write_average(
                    model, cursor.history, row, train_data=plan.train_data, val_data=plan.val_data
                )
        model.load_state_dict(last)
        cursor.averages = averages
        self._save()
        return True

    def _scores(self) -> Row | None:
        """Validate; return None if that was interrupted."""
        assert self.validation is not None
        metric = score_key(self.plan.best)[1]
        return validate(
            self.stepper,
            self.validation,
            metrics=() if metric is None else (metric,),
            stop_asked=self.stop_requested,
        )

    def _keep(self, row: Row, *, terms: Mapping[str, float], required: bool) -> None:
        """Add an epoch's row to the history, keep the weights if they are the best, write the files, its state last."""
        plan, cursor, averaged = self.plan, self.cursor, self.stepper.averaged
        cursor.history.append(row)
        score = score_of(row, plan.best, terms=terms, required=required)
        improved = score > cursor.best_score
        if improved:
            cursor.best_score = score
            self.best_state = state_on_cpu(averaged)
        cursor.epoch, cursor.step, cursor.totals = cursor.epoch + 1, 0, {}
        if plan.folder is not None and self.ranks.is_first:
            plan.folder.write(
                averaged, cursor.history, improved=improved, train_data=plan.train_data, val_data=plan.val_data
            )
        self._save()

    def _announce(self, what: str, row: Row) -> None:
        shown = {name: value for name, value in grouped(row).items() if name not in ("epoch", "base_share")}
        values = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
        if self.ranks.is_first:
            announce(logger, f"{what}: {values}", shown=self.plan.progress)

    def _call_callbacks(self, row: Row) -> None:
        """Call `on_epoch` on the first rank; its additions to the row and its wish to end reach all ranks."""
        model, epoch = self.stepper.averaged.eval(), self.cursor.epoch
        self._announce(f"epoch {epoch}/{self.plan.epochs}", row)
        if self.ranks.is_first:
            self.cursor.ended = self.callbacks(model, row)
            if self.cursor.ended:
                announce(logger, f"epoch {epoch}: training ends here, as on_epoch asked", shown=self.plan.progress)
        row |= self.ranks.from_first(row)
        self.cursor.ended = self.ranks.from_first(self.cursor.ended)

    def _save(self) -> None:
        if self.plan.folder is not None and self.ranks.is_first:
            save_state(self.plan.folder.path / STATE, self.parts)


def window(counts: Sequence[int], step: int, accumulate: int) -> tuple[bool, int, bool]:
    """Return whether a batch begins an accumulation window, the images in it on all ranks, and whether it ends it."""
    before = (step - 1) // accumulate * accumulate
    images = sum(counts[before : before + accumulate])
    return step == before + 1, images, step % accumulate == 0 or step == len(counts)
