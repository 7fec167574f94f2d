"""Settings of a run that must be equal when it is resumed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import torch

from ..contracts import Model, Objective, Samples, length
from ..data.folder import FolderDataset
from .plan import Plan
from .selection import score_key
from .step import Stepper


def settings_of(plan: Plan, stepper: Stepper) -> dict[str, Any]:
    """Return what must be equal when a run is resumed, as plain data.

    Call it before the first step, because the schedule changes the optimizer's settings.
    """
    groups = [
        {name: value for name, value in group.items() if name != "params"} for group in stepper.optimizer.param_groups
    ]
    parameters = [(name, tuple(value.shape), value.requires_grad) for name, value in plan.model.named_parameters()]
    learning = sum(value.numel() for value in plan.model.parameters() if value.requires_grad)
    options = plan.optimization
    return {
        "the model's recipe": repr(plan.model.recipe),
        "the model's preprocessing": repr(plan.model.preprocessing),
        "the number of parameters that learn": learning,
        "the model's parameters": _digest(parameters),
        "the number of samples": length(plan.train_data),
        "the samples": _describe_data(plan.train_data),
        "the number of validation samples": 0 if plan.val_data is None else length(plan.val_data),
        "the validation samples": _describe_data(plan.val_data),
        "the objective": _describe_objective(plan.supervision),
        "the weights of the objective": _digest_weights(plan.supervision),
        "the augmentation": _describe(plan.augmentation),
        "the optimizer": f"{type(stepper.optimizer).__name__} {groups}",
        "the schedule": _describe(options.schedule),
        "precision": str(stepper.dtype or torch.float32),
        "clip_norm": options.clip_norm,
        "accumulate": options.accumulate,
        "ema": options.ema,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "the number of processes": stepper.ranks.world_size,
        "seed": plan.seed,
        "best": score_key(plan.best)[0],
    }


def _describe(value: object) -> str:
    """Return the repr of an object without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _describe_data(data: Samples | None) -> str:
    """Return a description of a data set that does not depend on where its files are."""
    if not isinstance(data, FolderDataset):
        return ""
    options = (data.foreground, data.resize_masks, _describe(data.transform))
    return _digest([[name for name, *_ in data.files], options])


def _describe_objective(objective: Objective) -> str:
    """Return the types and plain settings of an objective's parts, without the inside of a GT encoder."""
    networks = [name for name, module in objective.named_modules() if isinstance(module, Model)]
    parts = []
    for name, module in objective.named_modules():
        if not any(name.startswith(f"{network}.") for network in networks):
            plain = {
                key: value
                for key, value in vars(module).items()
                if not key.startswith("_") and key != "training" and isinstance(value, bool | int | float | str | dict)
            }
            shown = "" if isinstance(module, Model) else ", ".join(f"{key}={value}" for key, value in plain.items())
            parts.append(f"{name or 'all'}: {type(module).__name__}({shown})")
    return ", ".join(parts)


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def _digest_weights(objective: Objective) -> str:
    """Return a digest of an objective's frozen weights, such as those of a GT encoder."""
    found = hashlib.sha256()
    for name, value in objective.named_parameters():
        if not value.requires_grad:
            found.update(name.encode())
            found.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
