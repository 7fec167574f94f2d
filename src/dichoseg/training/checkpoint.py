"""State of a run, from which it is resumed: the `state_dict` of every moving part."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, final

import torch

from ..runtime.files import write_state
from ..untrusted import UnusableFileError, reading
from ..weights.reading import check_archive
from .rows import Row
from .step import Stepper


class Stateful(Protocol):
    """Part of a run with a state of its own."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state."""

    def load_state_dict(self, state: dict[str, Any], /) -> object:
        """Restore the state."""


@final
@dataclasses.dataclass(kw_only=True)
class Cursor:
    """Progress of a run; together with the seed it determines everything random that follows."""

    epoch: int = 1
    """Current epoch."""
    step: int = 0
    """Number of its batches that are done; the optimizer has moved after them."""
    learning_rate: float | None = None
    """Learning rate at the epoch's start; None in a state of version 0.1."""
    totals: dict[str, float] = dataclasses.field(default_factory=dict)
    """Sums of the epoch's terms so far."""
    history: list[Row] = dataclasses.field(default_factory=list)
    """Rows of the previous epochs."""
    best_score: float = -math.inf
    """Score of the weights in `best/`."""
    averages: list[Row] = dataclasses.field(default_factory=list)
    """Scores of the averages of base and trained weights, once they are known."""
    base_share: float = 0.0
    """Share of the base in the weights in `best/`."""
    ended: bool = False
    """True if `on_epoch` ended training before its last epoch."""

    def is_over(self, epochs: int) -> bool:
        """Return whether nothing is left of a run of so many epochs."""
        return self.ended or self.epoch > epochs

    def state_dict(self) -> dict[str, Any]:
        """Return all fields."""
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set all fields."""
        fields = {field.name for field in dataclasses.fields(self)}
        if not state.keys() <= fields:
            raise ValueError(f"unknown parts of a run's progress: {', '.join(sorted(state.keys() - fields))}")
        for name, value in state.items():
            setattr(self, name, value)


def save_state(path: Path, parts: Mapping[str, Stateful]) -> None:
    """Write the state of every part, completely or not at all."""
    write_state(path, {name: part.state_dict() for name, part in parts.items()})


def load_state(path: Path, parts: Mapping[str, Stateful]) -> None:
    """Restore the state of every part.

    Raises:
        UnusableFileError: The file cannot be read, and no part is changed, or it is not the state of these parts.
    """
    try:
        check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        states = [content[name] for name in parts]
    except Exception as error:  # whatever a truncated archive raises in torch
        raise UnusableFileError(
            f"{path} cannot be read as the state of a run; start a new run from its weights, in another folder "
            f"({str(error).partition(chr(10))[0]})"
        ) from error
    with reading(path):
        for part, state in zip(parts.values(), states, strict=True):
            part.load_state_dict(state)


def parts_of(stepper: Stepper) -> dict[str, Stateful]:
    """Return the moving parts of a stepper by name."""
    parts: dict[str, Any] = {
        "model": stepper.model,
        "optimizer": _Optimizer(stepper.optimizer),
        "schedule": stepper.schedule,
        "scaler": stepper.scaler,
    }
    if stepper.average is not None:
        parts["average"] = stepper.average
    if any(parameter.requires_grad for parameter in stepper.objective.parameters()):
        parts["objective"] = stepper.objective
    return parts


@final
class _Optimizer:
    """An optimizer whose restored state has the memory layout of its parameters, as fused CPU kernels require."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)
        for parameter, values in self.optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
