"""Callbacks for `fit(on_epoch=...)`: functions of the model and the row of an epoch; one that returns True ends it."""

from __future__ import annotations

import logging
import math
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ..checking import number, whole
from ..contracts import Model
from .rows import RUN, VALIDATION, Row
from .selection import DEFAULT_BEST, find_key, gain, higher_is_better, score_key

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)


@final
class TensorBoard:
    """Writer of each epoch's row for TensorBoard: `fit(..., on_epoch=TensorBoard("runs/a/tensorboard"))`.

    The step is the epoch. The loss and its terms are under `loss/`, validation scores under `validation/`, learning
    rate, time and memory under `run/`; all other keys of a row count as terms. A resumed run appends, and epochs that
    it repeats replace the former ones.

    Needs the extra `tensorboard`. Show it by `tensorboard --logdir runs`.

    Args:
        folder: Folder for the files; give several runs folders with one parent to compare them.
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
        """Write a row and flush it."""
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
        """Close the file; a later row opens another. Deleting this object closes it too."""
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
    """Rule that ends training when a score no longer improves: `fit(..., on_epoch=EarlyStopping(10))`.

    `fit` leaves the model with its best weights in any case; this saves time only. Under a schedule that decays to
    zero, most of the improvement comes at the end, so use much patience, or the schedule `constant`.

    Args:
        patience: Number of consecutive epochs without a better score after which training ends.
        metric: Key in the history, or the name of a registered metric that `fit(best=...)` computes. The metric decides
            whether a higher score is better; keys that end in `loss` or `mae` improve by falling.
        at_least: Minimum improvement over the best score that counts.
    """

    def __init__(self, patience: int, *, metric: str = DEFAULT_BEST, at_least: float = 0.0) -> None:
        self.patience = whole("patience", patience, least=1)
        self.metric = metric
        self.at_least = number("at_least", at_least)
        self.falls = not higher_is_better(score_key(metric)[0])
        self.best = -math.inf
        self.best_epoch = 0
        self.waited = 0

    def __call__(self, model: Model, row: Row) -> bool:
        """Return whether training should end after this epoch.

        Raises:
            ValueError: The row does not hold the metric.
        """
        key = find_key(row, self.metric)
        if key is None:
            missing = score_key(self.metric)[0]
            hint = (
                " (it needs val_data, and best= if it is a registered metric)" if missing.startswith(VALIDATION) else ""
            )
            raise ValueError(f"EarlyStopping finds no {missing!r} in the epoch's row{hint}; it has {', '.join(row)}")
        epoch, score = int(row["epoch"]), gain(row, key)
        if epoch == 1:  # another run
            self.best, self.best_epoch, self.waited = -math.inf, 0, 0
        if score > self.best + self.at_least:
            self.best, self.best_epoch, self.waited = score, epoch, 0
        else:
            self.waited += 1
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

    def state_dict(self) -> dict[str, Any]:
        """Return the best score, its epoch and the number of epochs since."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]


@final
class Callbacks:
    """The callables of `fit(on_epoch=...)` as one, with the state of those that have a `state_dict`.

    Args:
        functions: Functions of the model and the epoch's row.
    """

    def __init__(self, functions: Sequence[Callable[[Model, Row], object]]) -> None:
        self.functions = functions

    def __call__(self, model: Model, row: Row) -> bool:
        """Call all of them; return whether one asks to end training."""
        ends = False
        for function in self.functions:
            answer = function(model, row)
            ends |= isinstance(answer, bool | np.bool_) and bool(answer)
            row |= {name: _number(name, value) for name, value in row.items()}
        return ends

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each callable that has one, by its type and number."""
        return {key: function.state_dict() for key, function in self._stateful()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of each callable that has one."""
        stateful = dict(self._stateful())
        for key, values in state.items():
            if key in stateful:
                stateful[key].load_state_dict(values)
            else:
                logger.warning("on_epoch has no %s any more, whose state is dropped", key)

    def _stateful(self) -> list[tuple[str, Any]]:
        counts: Counter[str] = Counter()
        found: list[tuple[str, Any]] = []
        for function in self.functions:
            if hasattr(function, "state_dict") and hasattr(function, "load_state_dict"):
                kind = type(function).__name__
                counts[kind] += 1
                found.append((f"{kind} {counts[kind]}", function))
        return found

    def resume(self, history: Sequence[Row]) -> None:
        """Call the former method `resume(history)` of callables that have no `load_state_dict`."""
        for function in self.functions:
            if hasattr(function, "resume") and not hasattr(function, "load_state_dict"):
                warnings.warn(
                    f"{type(function).__name__}.resume(history) is state_dict() and load_state_dict(state) since 0.2, "
                    "and goes in 0.4",
                    DeprecationWarning,
                    stacklevel=2,
                )
                function.resume(history)


def _number(name: str, value: object) -> float:
    """Return a value of a row as a plain number, whatever type of number a callable has added."""
    if type(value) in (int, float):
        return value  # type: ignore[return-value]
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"on_epoch must add numbers to the row; got {name}={value!r}") from None


def _group(name: str) -> str:
    if name in RUN:
        return "run"
    return "validation" if name.startswith(VALIDATION) else "loss"
