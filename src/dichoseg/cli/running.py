"""Options of `dichoseg train`, and the plan that they give."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from ..training.optimization import Base, Optimization
from .building import (
    AugmentationOptions,
    NetworkOptions,
    ObjectiveOptions,
    OptimizationOptions,
    ScheduleOptions,
    calibrate,
    network_name,
)
from .data_options import TrainingData
from .options import Device, Flag, Number, OptionalPath, Sizes, optional, size_of, tell

if TYPE_CHECKING:
    from ..models.gt_encoder import GTEncoder
    from ..training.plan import Plan
    from .building import Parts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Options of `dichoseg train`.

    Args:
        data: Folder that holds im and gt, or the same below train or DIS-TR.
        out: New folder for the run.
        plan: Proposal of `dichoseg plan` for this data; other options replace its values.
        resume: Run to resume, with its saved options. With the full command: start the run if it does not exist.
        from_run: Finished run to continue from, in a new folder: its best weights, and its options unless given here.
        epochs: Number of passes over the data.
        batch_size: Number of images per batch, in each process.
        best: Score that decides which weights are best: loss, val_loss, quick_max_f, quick_mae, quick_iou, or a metric
            from `dichoseg list metrics`.
        base: Use of the initial weights: score them as epoch 0, which may be the best, and average them with the
            trained ones at the end, in the best proportion or, with half, in equal parts. Default: average with
            --weights and validation data, else ignore.
        patience: Number of epochs without a better --best after which training ends.
        workers: Number of processes that load the training set, and as many for the validation set.
        device: Device, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        seed: Seed of weights, order and augmentation.
        sizes: Sizes to train at, such as 384 512 512x768 (height x width), one for each batch; validation keeps the
            network's. Default: the network's.
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
    plan: OptionalPath = None
    resume: OptionalPath = None
    from_run: Annotated[Path | None, tyro.conf.arg(name="from", metavar="RUN", help_behavior_hint="")] = None
    epochs: int = 10
    batch_size: int = 8
    best: str = "quick_max_f"
    base: Annotated[Base | None, optional("{ignore,score,average,half}")] = None
    patience: Number = None
    workers: int = 1
    device: Device = None
    seed: int = 0
    sizes: Sizes = ()
    overfit_batches: Number = None
    tensorboard: Flag = False
    network: NetworkOptions = NetworkOptions()
    objective: ObjectiveOptions = ObjectiveOptions()
    augmentation: AugmentationOptions = AugmentationOptions()
    optimization: OptimizationOptions = OptimizationOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    folders: TrainingData = TrainingData()

    def __post_init__(self) -> None:
        """Refuse sizes that are none, such as the folder of the data after them."""
        for text in self.sizes:
            size_of(text)


def plan_of(options: Train, data: Path, out: Path, *, progress: bool = True) -> tuple[Plan, Parts]:
    """Return the checked plan of a run, and the parts of its objective.

    Options are checked before the data is read.
    """
    from ..batch_norm import is_uncalibrated
    from ..runtime.device import usable_device
    from ..training import callbacks
    from ..training.plan import Plan, check_numbers
    from ..training.ranks import launched
    from ..training.run_folder import TENSORBOARD, RunFolder
    from ..training.selection import check_best
    from ..training.sizes import check_sizes

    resume = options.resume is not None
    RunFolder(out, resume=resume or not launched().is_first)
    check_numbers(epochs=options.epochs, batch_size=options.batch_size, workers=options.workers, seed=options.seed)
    check_best(options.best, validates=True)
    sizes = [size_of(text) for text in options.sizes]
    if options.device is not None:
        usable_device(options.device)
    parts = options.objective.parts()
    augmentation = options.augmentation.on_device()
    network = options.network.make(seed=options.seed)
    optimization = options.schedule.applied_to(options.optimization, network)
    parts |= options.objective.parts_for(network, parts, out, resume=resume)
    check_sizes(sizes, network.preprocessing)
    largest = max(sizes, key=math.prod, default=network.preprocessing.size or 1024)
    transform = options.augmentation.in_workers(largest)
    stopping = [] if options.patience is None else [callbacks.EarlyStopping(options.patience, metric=options.best)]
    board = [callbacks.TensorBoard(out / TENSORBOARD)] if options.tensorboard else []

    training, validation = options.folders.load(data, seed=options.seed, progress=progress)
    if is_uncalibrated(network):
        calibrate(network, training, options.batch_size)
    if options.overfit_batches is None:
        training.transform = transform
    else:
        validation = training
    if options.patience is not None and validation is None:
        raise ValueError("--patience needs validation data: --val, or --val-fraction 0.1")
    check_best(options.best, validates=validation is not None)
    fine_tunes = options.network.weights is not None and validation is not None and options.overfit_batches is None
    base: Base = options.base or ("average" if fine_tunes else "ignore")
    plan = Plan(
        model=network,
        train_data=training,
        val_data=validation,
        objective=options.objective.sum_of(parts),
        augmentation=augmentation,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimization=optimization,
        best=options.best,
        base=base,
        device=options.device,
        workers=options.workers,
        seed=options.seed,
        out=out,
        resume=resume,
        on_epoch=[*board, *stopping],
        progress=progress,
        sizes=sizes,
    )
    return plan, parts


def describe(plan: Plan, options: Train) -> str:
    """Return a line about the network and the data."""
    from ..contracts import length

    held_out = "none (--val-fraction 0.1 holds some back)" if plan.val_data is None else length(plan.val_data)
    if options.overfit_batches is not None:
        held_out = "the same"
    images = length(plan.train_data)
    return f"{network_name(plan.model)}: {images} images to train on, {held_out} to validate on"


def train_gt_encoder(plan: Plan, epochs: int) -> GTEncoder:
    """Train a GT encoder for the model of a plan, with the plan's data; exit if that is stopped."""
    from ..runtime.signals import stoppable
    from ..training import fit_gt_encoder

    try:
        with stoppable(True) as stop_asked:
            gt_encoder = fit_gt_encoder(
                plan.model,
                plan.train_data,
                val_data=plan.val_data,
                augmentation=plan.augmentation,
                epochs=epochs,
                batch_size=plan.batch_size,
                optimization=Optimization(precision=plan.optimization.precision),
                device=plan.device,
                workers=plan.workers,
                seed=plan.seed,
                out=plan.out,
                resume=plan.resume,
                progress=plan.progress,
                sizes=plan.sizes,
            )
        if stop_asked():  # in its last epoch
            raise KeyboardInterrupt("stopped after the training of the GT encoder")
    except KeyboardInterrupt as stopped:
        tell(f"{stopped}; dichoseg train --resume {plan.out} continues")
        raise SystemExit(130) from None
    return gt_encoder
