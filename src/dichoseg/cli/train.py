"""`dichoseg train`."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from .continuing import check_validation, stored_options
from .options import Flag, as_arguments, tell
from .run_scores import score_run
from .running import Train, describe, plan_of, train_gt_encoder

if TYPE_CHECKING:
    from ..training.plan import Plan
    from .building import Parts


def train(options: Annotated[Train, tyro.conf.arg(name="")], *, quiet: Flag = False) -> None:
    """Train a model on a folder of images and masks, score it, and show how it went.

    To start: `dichoseg plan DATA` proposes options that fine-tune published weights, and prints the command.
    """
    from ..runtime.memory import keep_memory
    from ..training.ranks import launched
    from ..training.run_folder import RunFolder

    keep_memory()
    options, data, out = complete(options)
    if options.plan is not None:
        from ..planning import Proposal

        Proposal.load(options.plan).check(options.folders.open(data)[0], options.network.weights)
        options = dataclasses.replace(options, plan=None)  # the run's own options hold its values
    plan, parts = plan_of(options, data, out, progress=not quiet)
    if options.from_run is not None:
        check_validation(options.from_run, plan.val_data)
    tell(describe(plan, options))
    resume = options.resume is not None
    with RunFolder(out, resume=True).alone(resume=resume) if launched().is_first else nullcontext():
        _run(options, plan, parts, out)


def with_defaults(defaults: Train) -> Callable[..., None]:
    """Return the command with other default options."""

    @functools.wraps(train)
    def command(options: Train, *, quiet: bool = False) -> None:
        train(options, quiet=quiet)

    signature = inspect.signature(train)
    options = signature.parameters["options"].replace(default=defaults)
    vars(command)["__signature__"] = signature.replace(parameters=[options, signature.parameters["quiet"]])
    return command


def _run(options: Train, plan: Plan, parts: Parts, out: Path) -> None:
    """Train and score in a folder that no other process uses."""
    from ..training import fit, overfit
    from ..training.ranks import launched
    from ..training.run_folder import STATE, RunFolder

    is_first = launched().is_first
    if is_first and not (out / STATE).exists():
        command = ["train", *as_arguments(dataclasses.replace(options, out=out, resume=None, from_run=None))]
        RunFolder(out, resume=True).update_plan(command=command)
    if options.objective.gt_encoder == "train":
        gt_encoder = train_gt_encoder(plan, options.objective.gt_encoder_epochs)
        plan = dataclasses.replace(plan, objective=options.objective.sum_of(parts, gt_encoder))
    arguments = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    if options.overfit_batches is not None:
        del arguments["train_data"], arguments["val_data"], arguments["augmentation"]
        history = overfit(data=plan.train_data, batches=options.overfit_batches, **arguments)
    else:
        history = fit(**arguments)
    if history.interrupted:
        done = sum(row["epoch"] > 0 for row in history)  # epoch 0 only scores the base
        tell(f"stopped after {done} of {options.epochs} epochs; dichoseg train --resume {out} continues")
        raise SystemExit(130)
    if not is_first or options.overfit_batches is not None:
        return
    if plan.progress:
        losses = [f"{row['loss']:.4f}" for row in history if row["epoch"] > 0]
        print(f"loss {' -> '.join(dict.fromkeys((losses[0], losses[-1])))}; model in {out}")
    score_run(plan, history)


def complete(options: Train) -> tuple[Train, Path, Path]:
    """Return the options, the data and the folder of the run, which holds the options if only --resume is given."""
    run = options.resume
    if run is not None and options.data is None:
        if options != Train(resume=run):
            raise ValueError("--resume takes all options from the run; give only --resume, or the whole command")
        options = dataclasses.replace(stored_options(run), out=run, resume=run)
    out = options.out or run
    if options.data is None and options.folders.more:
        raise ValueError(f"--more {options.folders.more[0]} adds to the data of a run: give --from RUN, or DATA")
    if options.data is None or out is None:
        raise ValueError("wanted DATA or --from, and --out; or --resume with the folder of a run")
    if run is not None and run.resolve() != out.resolve():
        raise ValueError(f"--out {out} and --resume {run} are two folders; a run is resumed in its own")
    return options, options.data, out
