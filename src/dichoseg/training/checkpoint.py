"""What a run needs to go on where it stopped, and how it is stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import Any

import torch

from ..contracts import Model, Objective, Samples, length
from ..data.folder import FolderDataset
from ..runtime.files import write_state
from .run_folder import STATE, Row
from .step import Stepper

FORMAT_VERSION = 3


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


def settings(
    stepper: Stepper, train_data: Samples, val_data: Samples | None = None, **numbers: object
) -> dict[str, Any]:
    """What must be the same when a run goes on, by the name under which a difference is told.

    Call it before the first step: the schedule changes the optimiser's settings.
    """
    groups = [
        {name: value for name, value in group.items() if name != "params"} for group in stepper.optimizer.param_groups
    ]
    parameters = [(name, tuple(value.shape), value.requires_grad) for name, value in stepper.model.named_parameters()]
    learning = sum(value.numel() for value in stepper.model.parameters() if value.requires_grad)
    return {
        "the model's recipe": repr(stepper.model.recipe),
        "the model's preprocessing": repr(stepper.model.preprocessing),
        "the number of parameters that learn": learning,
        "the model's parameters": _digest(parameters),
        "the number of samples": length(train_data),
        "the samples' names": _names(train_data),
        "the number of validation samples": 0 if val_data is None else length(val_data),
        "the validation samples' names": "" if val_data is None else _names(val_data),
        "the objective": _parts_of(stepper.objective),
        "the optimiser": f"{type(stepper.optimizer).__name__} {groups}",
        "the schedule": type(stepper.schedule).__name__,
        "precision": str(stepper.dtype or torch.float32),
        "clip_norm": stepper.clip_norm,
        **numbers,
    }


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def _names(data: Samples) -> str:
    return _digest([str(file[0]) for file in data.files]) if isinstance(data, FolderDataset) else ""


def _parts_of(objective: Objective) -> str:
    """The kinds of an objective's parts, without what is inside of a GT encoder."""
    networks = [name for name, module in objective.named_modules() if isinstance(module, Model)]
    return ", ".join(
        f"{name or 'all'}: {type(module).__name__}"
        for name, module in objective.named_modules()
        if not any(name.startswith(f"{network}.") for network in networks)
    )


def save_checkpoint(folder: Path, reached: Reached, stepper: Stepper, *, same: dict[str, Any]) -> None:
    """Write all that a run needs to go on, whole or not at all."""
    content = {
        "format_version": FORMAT_VERSION,
        "reached": dataclasses.asdict(reached),
        "settings": same,
        **{name: part.state_dict() for name, part in _parts(stepper).items()},
    }
    write_state(folder / STATE, content)


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
        raise ValueError(
            f"{path} cannot be read as a run's state; remove it to start the run anew, or train on from its weights in "
            f"another folder ({error})"
        ) from error
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} is of format {version}, of another version of dichoseg; this one goes on from {FORMAT_VERSION}. "
            "Resume with the version that wrote it, or train on from its weights in another folder"
        )
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
    if stepper.average is not None:
        parts["average"] = stepper.average
    if any(parameter.requires_grad for parameter in stepper.objective.parameters()):
        parts["objective"] = stepper.objective
    return parts
