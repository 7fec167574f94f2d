"""Arguments of `fit` before version 0.2, which warn and work until 0.4."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

from torch.utils.data import Subset

from .optimization import Optimization
from .rows import History

P = ParamSpec("P")
OPTIONS = ("optimizer", "schedule", "accumulate", "clip_norm", "ema", "precision")


def with_former_arguments(fit: Callable[P, History]) -> Callable[P, History]:
    """Let `fit` take its former arguments, with a `DeprecationWarning`."""

    @functools.wraps(fit)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> History:
        given: dict[str, Any] = kwargs
        options = {name: given.pop(name) for name in OPTIONS if name in given}
        for name in options:
            _warn(f"fit({name}=) is fit(optimization=Optimization({name}=))")
        make = options.get("optimizer")
        if make is not None and callable(make):  # which was called with the parameters only
            options["optimizer"] = lambda parameters, lr: make(parameters)
        elif make is None:
            options.pop("optimizer", None)
        if options:
            given["optimization"] = dataclasses.replace(given.get("optimization", Optimization()), **options)
        if given.get("on_epoch", ()) is None:
            del given["on_epoch"]
        batches = given.pop("overfit_batches", None)
        if batches is not None:
            _warn("fit(overfit_batches=) is overfit(model, data, batches=)")
            bound = inspect.signature(fit).bind(*args, **kwargs)
            data = bound.arguments["train_data"]
            few = Subset(data, range(min(batches * given.get("batch_size", 8), len(data))))
            bound.arguments |= {"train_data": few, "val_data": few, "augmentation": None}
            return fit(*bound.args, **bound.kwargs)
        return fit(*args, **kwargs)

    return wrapper


def _warn(text: str) -> None:
    warnings.warn(f"{text} since 0.2, and goes in 0.4", DeprecationWarning, stacklevel=3)
