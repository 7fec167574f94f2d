"""Training that goes on from a finished run: its options as defaults, its best weights, its validation set."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from .options import CONFIG
from .running import Train

if TYPE_CHECKING:
    from ..contracts import Samples


def run_to_follow(arguments: Sequence[str]) -> Path | None:
    """Return the run that --from names, before the other options are read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--from", dest="run", type=Path, nargs="?")
    found: Path | None = parser.parse_known_args(list(arguments))[0].run
    return found


def stored_options(run: Path) -> Train:
    """Return the options of a run."""
    from ..training.run_folder import RunFolder

    command = RunFolder(run, resume=True).read_plan().get("command")
    if command is None:
        raise FileNotFoundError(f"no run of `dichoseg train` in {run}")
    return tyro.cli(Train, args=command[1:], config=CONFIG, prog="dichoseg train")


def defaults_from(run: Path) -> Train:
    """Return the options of a run that goes on from the best weights of a finished one."""
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
        raise ValueError(f"{run} has no best weights to go on from, because it was trained without validation data")
    if not (run / "scores.json").exists():
        raise ValueError(f"{run} is not finished; dichoseg train --resume {run} finishes it")
    if not (run / "best").is_dir():
        raise ValueError(f"{run} has no best weights to go on from, because no epoch had a score")


def _settings(run: Path) -> dict[str, object]:
    from ..training.run_folder import RunFolder

    return dict(RunFolder(run, resume=True).read_plan().get("settings", {}))
