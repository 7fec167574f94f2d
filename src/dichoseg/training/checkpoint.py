"""What a run needs to go on where it stopped, and how it is stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from ..contracts import Samples
from ..models.weights.writing import write_tensors
from .loading import length
from .run_folder import STATE, Row
from .step import Stepper

FORMAT_VERSION = 2


@dataclasses.dataclass(kw_only=True)
class Reached:
    """How far a run has come; all randomness follows from the seed, the epoch and the step."""

    epoch: int = 1
    """The epoch that is under way."""
    step: int = 0
    """How many of its batches are done; after them the optimiser has made its step."""
    totals: dict[str, float] = dataclasses.field(default_factory=dict)
    """Sums of the epoch's terms so far."""
    history: list[Row] = dataclasses.field(default_factory=list)
    """The epochs before it."""
    best_score: float = -math.inf
    """Of the weights in `best/`."""
    ended: bool = False
    """Whether training has ended before its last epoch, because `on_epoch` asked."""


def settings(stepper: Stepper, data: Samples, **numbers: object) -> dict[str, Any]:
    """What must be the same when a run goes on, by the name under which a difference is told.

    Call it before the first step: the schedule changes the optimiser's settings.
    """
    names = "\n".join(str(file[0]) for file in getattr(data, "files", ()))
    groups = [
        {name: value for name, value in group.items() if name != "params"} for group in stepper.optimizer.param_groups
    ]
    return {
        "the model's recipe": repr(stepper.model.recipe),
        "the model's preprocessing": repr(stepper.model.preprocessing),
        "the number of samples": length(data),
        "the samples' names": hashlib.sha256(names.encode()).hexdigest(),
        "the optimiser": f"{type(stepper.optimizer).__name__} {groups}",
        **numbers,
    }


def save_checkpoint(folder: Path, reached: Reached, stepper: Stepper, *, same: dict[str, Any]) -> None:
    """Write all that a run needs to go on, whole or not at all."""
    content = {
        "format_version": FORMAT_VERSION,
        "reached": dataclasses.asdict(reached),
        "settings": same,
        **{name: part.state_dict() for name, part in _parts(stepper).items()},
    }
    write_tensors(folder / STATE, content)


def load_checkpoint(folder: Path, stepper: Stepper, *, same: dict[str, Any]) -> Reached:
    """Bring model, optimiser and the rest to where a run stopped; where it has saved nothing yet, to its beginning.

    Raises:
        ValueError: A file that cannot be read, or a run of other settings; nothing is changed then.
    """
    path = folder / STATE
    if not path.exists():
        return Reached()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content["format_version"]
    except Exception as error:  # whatever a cut-off archive makes torch stumble over
        raise ValueError(f"{path} cannot be read as a run's state: {error}") from error
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} is of format {version}; this dichoseg knows {FORMAT_VERSION}")
    for name, value in same.items():
        if content["settings"].get(name) != value:
            raise ValueError(
                f"{folder} cannot go on: {name} was {content['settings'].get(name)}, and is {value} now. A resumed run "
                "is the same run; to train on from its weights, start another one"
            )
    for name, part in _parts(stepper).items():
        part.load_state_dict(content[name])
    for parameter, state in stepper.optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                # in the parameter's own layout: the fused optimisers of a CPU look at nothing else
                state[name] = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    return Reached(**content["reached"])


def _parts(stepper: Stepper) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "model": stepper.model,
        "optimizer": stepper.optimizer,
        "schedule": stepper.schedule,
        "scaler": stepper.scaler,
    }
    return parts if stepper.average is None else {**parts, "average": stepper.average}


@contextmanager
def stoppable(enabled: bool) -> Iterator[Callable[[], bool]]:
    """Take the first Ctrl-C or SIGTERM for a wish to stop, which the function that this yields tells.

    The second one does what it did before. Off the main thread, where Python gives no signals, nothing is taken.
    """
    asked = threading.Event()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
