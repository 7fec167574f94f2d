"""Settings of a run that must be equal when it is resumed."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
from typing import Any

import torch
from torch import nn
from torch.utils.data import ConcatDataset, Subset

from ..contracts import Model, Objective, length
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
        "the samples": describe_data(plan.train_data),
        "the number of validation samples": 0 if plan.val_data is None else length(plan.val_data),
        "the validation samples": describe_data(plan.val_data),
        "the objective": describe(plan.supervision),
        "the weights of the objective": _digest_weights(plan.supervision),
        "the augmentation": describe(plan.augmentation),
        "the optimizer": f"{type(stepper.optimizer).__name__} {groups}",
        "the schedule": describe(options.schedule),
        "precision": str(stepper.dtype or torch.float32),
        "clip_norm": options.clip_norm,
        "accumulate": options.accumulate,
        "ema": options.ema,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "sizes": [list(size) for size in plan.heights_widths] or None,
        "the number of processes": stepper.ranks.world_size,
        "seed": plan.seed,
        "best": score_key(plan.best)[0],
        "base": plan.base,
    }


def describe(value: object) -> str:
    """Return the type and the public attributes of an object, the same in every process.

    Modules are described with their children, functions by their names, networks by their types only.
    """
    if isinstance(value, nn.Module):
        attributes = {} if isinstance(value, Model) else _public(value) | dict(value.named_children())
        inside = ", ".join(f"{name}={describe(part)}" for name, part in attributes.items())
        return f"{type(value).__name__}({inside})"
    if isinstance(value, functools.partial):
        inside = ", ".join(map(describe, (value.func, *value.args, *value.keywords.items())))
        return f"partial({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {describe(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(describe, value))})"
    if isinstance(value, torch.Tensor):
        return f"Tensor{tuple(value.shape)}"
    name = getattr(value, "__qualname__", None)
    return str(name) if name else re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _public(value: object) -> dict[str, Any]:
    return {name: part for name, part in vars(value).items() if not name.startswith("_") and name != "training"}


def describe_data(data: object) -> str:
    """Return a description of a data set, of the plain arguments that it was made with; not of where its files are."""
    if isinstance(data, FolderDataset):
        options: tuple[object, ...] = (data.foreground, data.resize_masks, describe(data.transform))
        options += (data.ignore,) if data.ignore else ()
        return _digest([[name for name, *_ in data.files], options])
    if isinstance(data, Subset):
        return _digest([describe_data(data.dataset), list(data.indices)])
    if isinstance(data, ConcatDataset):
        return _digest([describe_data(part) for part in data.datasets])
    arguments = inspect.signature(type(data).__init__).parameters
    plain = {
        name: part
        for name, part in getattr(data, "__dict__", {}).items()
        if name in arguments and isinstance(part, bool | int | float | str)
    }
    return _digest(plain) if plain else ""


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
