"""What `fit(on_epoch=...)` takes: callables of the model and the epoch's row, which end training by returning True."""

from __future__ import annotations

import logging
import math
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from ..contracts import Model
from .selection import DEFAULT_BEST, RUN, VALIDATION, find_key, gain, higher_is_better, score_key

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from .run_folder import Row

logger = logging.getLogger(__name__)


@final
class TensorBoard:
    """Writes each epoch's row for TensorBoard: `fit(..., on_epoch=TensorBoard("runs/a/tensorboard"))`.

    The step is the epoch. Loss and terms are under `loss/`, validation scores under `validation/`, learning rate,
    time and memory under `run/`; whatever else a row holds is taken for a term. A run that goes on appends, and the
    epochs that it repeats replace what was there.

    Needs the extra `tensorboard`; `tensorboard --logdir runs` shows it.

    Args:
        folder: Where its files go; several runs side by side are folders of one folder.

    Raises:
        ImportError: tensorboard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ModuleNotFoundError as error:
            raise ImportError("TensorBoard needs tensorboard: pip install 'dichoseg[tensorboard]'") from error
        self.folder = Path(folder)
        self._writer: SummaryWriter | None = None
        self._last = 0

    def __call__(self, model: Model, row: Row) -> None:
        """Write a row, so that it can be seen at once."""
        epoch = int(row["epoch"])
        if epoch <= self._last:  # another run
            self.close()
        if self._writer is None:
            self._writer = self._open(epoch)
        self._last = epoch
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(f"{_group(name)}/{name}", value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file; a later row opens another. It is closed in any case where this object goes."""
        if self._writer is not None:
            self._closing()
            self._writer = None

    def _open(self, epoch: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(self.folder), purge_step=epoch)
        self._closing = weakref.finalize(self, writer.close)
        return writer


@final
class EarlyStopping:
    """Ends training where a score no longer gets better: `fit(..., on_epoch=EarlyStopping(10))`.

    `fit` leaves the model with its best weights in any case; this saves time alone. Under a schedule that falls to
    zero most of the gain comes at the end, so be patient, or use `constant`.

    Args:
        patience: Epochs in a row without a better score, after which training ends.
        metric: Key in the history, or the name of a registered metric that `fit(best=...)` computes. Whether it
            improves by rising is up to the metric; a key that ends in `loss` or `mae` improves by falling.
        at_least: By how much a score must be better than the best so far to count.

    Raises:
        ValueError: A patience below 1, or a negative `at_least`.
    """

    best: float
    best_epoch: int
    waited: int

    def __init__(self, patience: int, *, metric: str = DEFAULT_BEST, at_least: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"patience must be 1 epoch or more; got {patience}")
        if not at_least >= 0:
            raise ValueError(f"at_least must be 0 or more; got {at_least}")
        self.patience = patience
        self.metric = metric
        self.at_least = at_least
        self.falls = not higher_is_better(score_key(metric)[0])
        self._forget()

    def __call__(self, model: Model, row: Row) -> bool:
        """Whether training should end after this epoch.

        Raises:
            ValueError: A row without the metric.
        """
        key = find_key(row, self.metric)
        if key is None:
            missing = score_key(self.metric)[0]
            hint = " (validation scores need val_data)" if missing.startswith(VALIDATION) else ""
            raise ValueError(f"EarlyStopping finds no {missing!r} in the epoch's row{hint}; it has {', '.join(row)}")
        self._see(row, key)
        if self.waited < self.patience:
            return False
        logger.info(
            "%s has not %s by more than %g for %d epochs: the best was %.4g, in epoch %d",
            self.metric,
            "fallen" if self.falls else "risen",
            self.at_least,
            self.waited,
            -self.best if self.falls else self.best,
            self.best_epoch,
        )
        return True

    def resume(self, history: Sequence[Row]) -> None:
        """See the epochs of a run that goes on once more."""
        self._forget()
        for row in history:
            key = find_key(row, self.metric)
            if key is not None:
                self._see(row, key)

    def _see(self, row: Row, key: str) -> None:
        epoch, score = int(row["epoch"]), gain(row, key)
        if epoch == 1:
            self._forget()
        if score > self.best + self.at_least:
            self.best, self.best_epoch, self.waited = score, epoch, 0
        else:
            self.waited += 1

    def _forget(self) -> None:
        self.best, self.best_epoch, self.waited = -math.inf, 0, 0


def _group(name: str) -> str:
    if name in RUN:
        return "run"
    return "validation" if name.startswith(VALIDATION) else "loss"
