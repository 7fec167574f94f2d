"""Options of `dichoseg train` from a proposal or a finished run, and training that continues such a run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import tyro

from .options import CONFIG
from .running import Train

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ..contracts import Samples

T = TypeVar("T", bound="DataclassInstance")
ADDED = "more"
"""Repeatable option whose values join those of the run: pairs of earlier rounds stay in the mix."""


def defaults_for(arguments: Sequence[str]) -> Train | None:
    """Return the default options of `dichoseg train` that --from or --plan names; None without either.

    A repeatable option that is given replaces the default, as any other does; only --more adds to it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--from", dest="run", type=Path, nargs="?")
    parser.add_argument("--plan", type=Path, nargs="?")
    named = parser.parse_known_args(list(arguments))[0]
    if named.run and named.plan:
        raise ValueError("--from and --plan exclude each other: a run to continue from has its own options")
    if not (named.run or named.plan):
        return None
    options = defaults_from(named.run) if named.run else proposed_options(named.plan)
    given = {argument.partition("=")[0] for argument in arguments}
    folders = options.folders
    if "--val" in given:
        folders = dataclasses.replace(folders, val_fraction=None)
    if "--val-fraction" in given:
        folders = dataclasses.replace(folders, val=None)
    return _without(dataclasses.replace(options, folders=folders), given)


def proposed_options(path: Path) -> Train:
    """Return the options of a proposal of `dichoseg plan`."""
    from ..planning import Proposal

    proposal = Proposal.load(path)
    values = {"weights": proposal.weights, **dataclasses.asdict(proposal.recipe)}
    arguments: list[str] = []
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        items = value if isinstance(value, tuple) else (value,)
        arguments += [option if item is True else f"{option}={item}" for item in items if item not in (None, False)]
    return dataclasses.replace(parsed(arguments), plan=path)


def parsed(arguments: Sequence[str]) -> Train:
    """Return the options of `dichoseg train` that are given as arguments."""
    return tyro.cli(Train, args=arguments, config=CONFIG, prog="dichoseg train")


def _without(options: T, given: Collection[str]) -> T:
    """Return options without the values of repeatable ones that are given."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = _without(cast(Any, value), given)
        elif isinstance(value, tuple) and field.name != ADDED and f"--{field.name.replace('_', '-')}" in given:
            changes[field.name] = field.default
    return dataclasses.replace(options, **changes)


def stored_options(run: Path) -> Train:
    """Return the options of a run."""
    from ..training.run_folder import RunFolder

    command = RunFolder(run, resume=True).read_plan().get("command")
    if command is None:
        raise FileNotFoundError(f"no run of `dichoseg train` in {run}")
    return parsed(command[1:])


def defaults_from(run: Path) -> Train:
    """Return the options of a run that starts from the best weights of a finished run."""
    options = stored_options(run)
    _check_finished(run, options)
    network = dataclasses.replace(
        options.network, model=None, encoder=None, decoder=None, heads=None, pretrained=False, weights=str(run / "best")
    )
    objective = options.objective
    if objective.gt_encoder == "train":
        objective = dataclasses.replace(objective, gt_encoder=run / "gt_encoder")
    return dataclasses.replace(options, out=None, network=network, objective=objective)


def check_validation(run: Path, validation: Samples | None) -> None:
    """Check that the validation set is that of a run, by its names, so that scores compare."""
    from ..training.settings import describe_data

    if validation is None or describe_data(validation) != _settings(run)["the validation samples"]:
        raise ValueError(
            f"the validation set is not that of {run}, so scores would not compare; keep the data, --val, "
            f"--val-fraction and --seed of that run, or give DATA and --weights {run / 'best'} without --from"
        )


def _check_finished(run: Path, options: Train) -> None:
    if options.overfit_batches is not None or _settings(run).get("the number of validation samples") == 0:
        raise ValueError(f"{run} has no best weights to continue from, because it was trained without validation data")
    if not (run / "scores.json").exists():
        raise ValueError(f"{run} is not finished; dichoseg train --resume {run} finishes it")
    if not (run / "best").is_dir():
        raise ValueError(f"{run} has no best weights to continue from, because no epoch had a score")


def _settings(run: Path) -> dict[str, object]:
    from ..training.run_folder import RunFolder

    return dict(RunFolder(run, resume=True).read_plan().get("settings", {}))
