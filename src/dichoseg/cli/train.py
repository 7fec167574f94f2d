"""`dichoseg train`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ..training.optimization import Optimization
from .building import (
    AugmentationOptions,
    NetworkOptions,
    ObjectiveOptions,
    OptimizationOptions,
    ScheduleOptions,
    calibrate,
    describe,
)
from .data_options import TrainingData
from .options import CONFIG, Device, Flag, Number, OptionalPath, as_arguments, show_training_log, tell
from .run_scores import score_run

if TYPE_CHECKING:
    from ..models.gt_encoder import GTEncoder
    from ..training.plan import Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Options of `dichoseg train`.

    Args:
        data: Folder that holds im and gt, or the same below train or DIS-TR.
        out: New folder for the run.
        resume: Run to resume, which holds all other options. With the whole command, start the run if it is not there.
        epochs: Number of passes over the data.
        batch_size: Number of images per batch, on each rank.
        best: Score that decides which weights are best: loss, a validation score, or a metric from
            `dichoseg list metrics`.
        patience: Number of epochs without a better --best after which training ends.
        workers: Number of processes that load data.
        device: Device, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        seed: Seed of weights, order and augmentation.
        overfit_batches: Check that the model can learn: train on this number of batches only.
        tensorboard: Write OUT/tensorboard for TensorBoard as well.
        network: Network to train.
        objective: Objective to minimize.
        augmentation: Augmentation of images and masks.
        optimization: Updates of the weights.
        schedule: Learning rate during the run.
        folders: Folders of images and masks.
    """

    data: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[DATA]", help_behavior_hint="")] = None
    out: OptionalPath = None
    resume: OptionalPath = None
    epochs: int = 10
    batch_size: int = 8
    best: str = "quick_max_f"
    patience: Number = None
    workers: int = 1
    device: Device = None
    seed: int = 0
    overfit_batches: Number = None
    tensorboard: Flag = False
    network: NetworkOptions = NetworkOptions()
    objective: ObjectiveOptions = ObjectiveOptions()
    augmentation: AugmentationOptions = AugmentationOptions()
    optimization: OptimizationOptions = OptimizationOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    folders: TrainingData = TrainingData()


def train(options: Annotated[Train, tyro.conf.arg(name="")]) -> None:
    """Train a model on a folder of images and masks, score it, and show how it went."""
    from ..batch_norm import is_uncalibrated
    from ..objectives import WeightedSum
    from ..runtime.device import usable_device
    from ..runtime.memory import keep_memory
    from ..training import callbacks, fit, overfit
    from ..training.plan import Plan
    from ..training.ranks import launched
    from ..training.run_folder import TENSORBOARD, RunFolder
    from ..training.selection import check_best

    show_training_log()
    keep_memory()
    options, data, out = complete(options)
    resume, is_first = options.resume is not None, launched().is_first
    # what can be refused is refused before the data is read
    if options.device is not None:
        usable_device(options.device)
    folder = RunFolder(out, resume=resume or not is_first)
    parts = options.objective.parts()
    augmentation = options.augmentation.on_device()
    network = options.network.make(seed=options.seed)
    optimization = options.schedule.applied_to(options.optimization, network)
    parts |= options.objective.edge_part(network, parts) | options.objective.parts_for(network, out, resume=resume)
    transform = options.augmentation.in_workers(network.preprocessing.size or 1024)
    stopping = [] if options.patience is None else [callbacks.EarlyStopping(options.patience, metric=options.best)]
    board = [callbacks.TensorBoard(out / TENSORBOARD)] if options.tensorboard else []

    training, validation = options.folders.load(data, seed=options.seed)
    if is_uncalibrated(network):
        calibrate(network, training, options.batch_size)
    if options.overfit_batches is None:
        training.transform = transform
    validates_on = validation if options.overfit_batches is None else training
    if options.patience is not None and validates_on is None:
        raise ValueError("--patience needs validation data: --val, or --val-fraction 0.1")
    check_best(options.best, validates=validates_on is not None)
    shared: dict[str, Any] = {
        "batch_size": options.batch_size,
        "optimization": optimization,
        "device": options.device,
        "workers": options.workers,
        "seed": options.seed,
        "out": out,
        "resume": resume,
    }
    own: dict[str, Any] = {"epochs": options.epochs, "best": options.best, "on_epoch": [*board, *stopping]}
    plan = Plan(
        model=network, train_data=training, val_data=validates_on, augmentation=augmentation,
        objective=WeightedSum(**parts), **shared, **own,
    )  # fmt: skip
    held_out = "none (--val-fraction 0.1 holds some back)" if validation is None else len(validation)
    tell(f"{describe(network)}: {len(training)} images to train on, {held_out} to validate on")
    if is_first and not (resume and "command" in folder.read_plan()):
        folder.update_plan(command=["train", *as_arguments(dataclasses.replace(options, out=out, resume=None))])
    if options.objective.gt_encoder == "train":
        parts |= options.objective.gt_encoder_part(train_gt_encoder(plan, options.objective.gt_encoder_epochs))
    objective = WeightedSum(**parts)
    if options.overfit_batches is not None:
        overfit(network, training, batches=options.overfit_batches, objective=objective, **shared, **own)
        return
    history = fit(
        network, training, val_data=validation, augmentation=augmentation, objective=objective, **shared, **own
    )
    if not is_first:
        return
    if len(history) < options.epochs and not any(one.waited >= one.patience for one in stopping):
        tell(f"stopped after {len(history)} of {options.epochs} epochs; dichoseg train --resume {out} continues")
        raise SystemExit(130)
    before = f"{history[0]['loss']:.4f} -> " if len(history) > 1 else ""
    print(f"loss {before}{history[-1]['loss']:.4f}; model in {out}")
    if validation is not None:
        score_run(plan, history)


def complete(options: Train) -> tuple[Train, Path, Path]:
    """Return the options, the data and the folder of the run, which holds the options if only --resume is given."""
    from ..training.run_folder import RunFolder

    run = options.resume
    if run is not None and options.data is None:
        if options != Train(resume=run):
            raise ValueError("--resume takes all options from the run; give --resume alone, or the whole command")
        command = RunFolder(run, resume=True).read_plan().get("command")
        if command is None:
            raise FileNotFoundError(f"no run of `dichoseg train` in {run}")
        options = dataclasses.replace(tyro.cli(Train, args=command[1:], config=CONFIG), out=run, resume=run)
    out = options.out or run
    if options.data is None or out is None:
        raise ValueError("wanted DATA and --out, or --resume with the folder of a run")
    if run is not None and run != out:
        raise ValueError(f"--out {out} and --resume {run} are two folders; a run is resumed in its own")
    return options, options.data, out


def train_gt_encoder(plan: Plan, epochs: int) -> GTEncoder:
    """Train a GT encoder for the model of a plan, with the plan's data; exit if that is stopped."""
    from ..runtime.signals import stoppable
    from ..training import fit_gt_encoder

    try:
        with stoppable(True) as stop_asked:
            gt_encoder = fit_gt_encoder(
                plan.model, plan.train_data, val_data=plan.val_data, augmentation=plan.augmentation, epochs=epochs,
                batch_size=plan.batch_size, optimization=Optimization(precision=plan.optimization.precision),
                device=plan.device, workers=plan.workers, seed=plan.seed, out=plan.out, resume=plan.resume,
            )  # fmt: skip
        if stop_asked():  # in its last epoch
            raise KeyboardInterrupt("stopped after the training of the GT encoder")
    except KeyboardInterrupt as stopped:
        tell(f"{stopped}; dichoseg train --resume {plan.out} continues")
        raise SystemExit(130) from None
    return gt_encoder
