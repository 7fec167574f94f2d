"""`fit`: one loop that trains any model on any data set of images and masks."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset, Subset
from tqdm import tqdm

from ..checking import function
from ..contracts import Augmentation, Model, Objective, Samples, length, unwrapped
from ..objectives.default import default_objective
from ..runtime.device import TrainingPrecision, autocast_dtype, choose_device
from ..runtime.memory import most_memory_used
from ..runtime.seeding import seeded
from ..runtime.signals import stoppable
from .batches import batches, prepare
from .checkpoint import Reached, load_checkpoint, save_checkpoint, settings
from .checks import (
    FirstEpoch,
    check_batch_norm,
    check_batch_of_one,
    check_batch_size,
    check_finite,
    check_precision,
    check_validation,
    check_whole_numbers,
    explaining_memory,
    grouped,
    some_image_is_alone,
    tell_overfitting,
    warn_of_single_images,
)
from .processes import joined
from .run_folder import Row, RunFolder
from .schedules import cosine
from .selection import DEFAULT_BEST, RUN, check_best, find_key, gain, score_key
from .step import Stepper, placed
from .validation import validate

logger = logging.getLogger(__name__)

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
MakeSchedule = Callable[[torch.optim.Optimizer, int], LRScheduler]
OnEpoch = Callable[[Model, Row], object]


def fit(
    model: Model,
    train_data: Samples,
    *,
    objective: Objective | None = None,
    val_data: Samples | None = None,
    augmentation: Augmentation | None = None,
    epochs: int = 10,
    batch_size: int = 8,
    accumulate: int = 1,
    optimizer: MakeOptimizer | None = None,
    schedule: MakeSchedule = cosine,
    clip_norm: float | None = 1.0,
    ema: float | None = None,
    precision: TrainingPrecision = "auto",
    device: str | torch.device | None = None,
    workers: int = 0,
    seed: int = 0,
    overfit_batches: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    on_epoch: OnEpoch | Sequence[OnEpoch] | None = None,
    best: str = DEFAULT_BEST,
    progress: bool = True,
) -> list[Row]:
    """Train a model.

    Each step loads images and masks, resizes them to the model's size, augments them on the device, normalises
    them and minimises the objective. A model whose `preprocessing.source` is `"mask"`, a GT encoder, gets the mask
    as its image. All randomness derives from `seed`; global random state is left as it was found.

    Under `torchrun` its processes train together, each on its part of every batch, and the first one writes. Weights
    and images are in channels-last layout meanwhile. A model that was compiled in place, by `model.compile()`, is
    trained compiled.

    What usually explains a loss that stays flat is logged as a warning: masks that are nearly all empty, a term
    that makes up most of the loss, batches of one image beside live batch norm.

    Args:
        model: Model to train in place. Afterwards it holds the best weights by `best`, or the last without
            `val_data`, and is on the device and in the mode in which it came.
        train_data: A map-style data set of `Sample` or of (image, mask) pairs, images in [0, 1].
        objective: What to minimise. Default: `DeepSupervision(BCELoss())`, and `EdgeSupervision()` beside it for a
            model that predicts edges.
        val_data: Scored after each epoch, with `val_loss`, `quick_mae` and `quick_max_f`.
        augmentation: `(image, mask) -> (image, mask)` on batches in [0, 1], such as `gpu_augmentation()`.
        epochs: Passes over the data.
        batch_size: Images per forward pass, of each process.
        accumulate: Batches per optimiser step; the loss is their mean over images.
        optimizer: Makes an optimiser of the trainable parameters. Default: AdamW with learning rate 1e-3.
        schedule: Makes a schedule of an optimiser and the number of steps; it moves after every step.
        clip_norm: Largest norm of the gradient; None clips nothing.
        ema: Keep an exponential moving average of weights and buffers, this much of the old one at each step, such as
            0.999; it is what is validated, shown to `on_epoch`, written and kept.
        precision: `"auto"` is bfloat16 autocast where the machine has it natively, else float32. `"float16"` scales the
            loss, and leaves out a step whose gradient overflows.
        device: Default: CUDA, else Apple's MPS where there is one, else where the model is.
        workers: Processes that load data; their number changes no result.
        seed: Order of the data, augmentation, and transforms in the data set.
        overfit_batches: Check that the set-up can learn: train on the first so many batches alone, without
            augmentation, validate on the same images, and log whether the loss fell by half. Some 50 epochs tell. A
            `transform` of the data set stays: leave it off.
        out: A new folder for the run. See `dichoseg.training.run_folder.RunFolder` for what it will hold: weights,
            `history.csv`, `curves.png`, and a contact sheet of validation images for each epoch. Ctrl-C and SIGTERM
            then finish the step, save and return; a second one stops at once.
        resume: Go on where the run in `out` stopped, whether asked, killed or crashed, with the same arguments, model
            and data; where there is none yet, start it. On a CPU the weights will be those of a run that was never
            stopped, bit for bit. To train on from some weights is another thing: `create_model(name, weights=...)`.
        on_epoch: Called after each epoch with the model, in eval mode, and the epoch's row, or several such; where one
            returns True, training ends. One that has a method `resume` gets the rows of a resumed run in it.
        best: Score that decides which epoch's weights are the best: `"loss"`, a validation score, a key that `on_epoch`
            adds to the epoch's row, or the name of a registered metric, such as `"mba"`, which validation then computes
            as `quick_mba`. Whether it improves by rising or falling is up to the metric; a key that ends in `loss` or
            `mae` improves by falling. NaN is never the best.
        progress: Whether to show a bar on a terminal.

    Returns:
        One row per epoch; fewer than `epochs` where training was stopped, and then the model holds what it had.

    Raises:
        TypeError, ValueError: Arguments or data that cannot be trained on; the message names them.
        FileExistsError: `out` already holds something.
        FloatingPointError: A loss or a gradient that is not finite; the message names the term, the step and the
            images, and with `out` the file in which the batch is kept.
        MemoryError: The device's memory is not enough; the message says what helps.
    """
    unwrapped(model)
    check_whole_numbers(epochs=epochs, batch_size=batch_size, accumulate=accumulate, overfit_batches=overfit_batches)
    check_whole_numbers(workers=workers, seed=seed, least=0)
    if objective is not None and not isinstance(objective, Objective):
        raise TypeError(f"objective must be an Objective, such as DeepSupervision(loss); got {objective!r}")
    function("augmentation", augmentation, "gpu_augmentation('isnet')")
    function("optimizer", optimizer, "functools.partial(torch.optim.SGD, lr=0.1)")
    function("schedule", schedule, "dichoseg.training.cosine")
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"clip_norm must be above 0, or None; got {clip_norm}")
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"ema must be between 0 and 1, such as 0.999; got {ema}")
    for name, data in (("train_data", train_data), ("val_data", val_data)):
        if data is not None and length(data) == 0:
            raise ValueError(f"{name} holds no samples")
    if overfit_batches is not None:
        few = range(min(overfit_batches * batch_size, length(train_data)))
        train_data = val_data = Subset(cast(Dataset[Any], train_data), few)
        augmentation = None
    several = isinstance(on_epoch, Sequence)
    callbacks: list[Any] = (
        [] if on_epoch is None else list(cast(Sequence[OnEpoch], on_epoch)) if several else [on_epoch]
    )
    if not all(map(callable, callbacks)):
        raise TypeError(f"on_epoch must be a function of model and row, or several; got {on_epoch!r}")
    objective = default_objective(model) if objective is None else objective
    objective.check(model)
    check_batch_norm(model)
    best_key, best_metric = score_key(best)
    if not callbacks:
        check_best(best, validates=val_data is not None)
    if resume and out is None:
        raise ValueError("resume=True goes on with the run in `out`; got no out")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("the model has no parameter that takes a gradient; is all of it frozen?")
    kind = choose_device(device, parameters[0].device)
    dtype = autocast_dtype(precision, kind)
    check_precision(model, dtype)
    if val_data is not None:
        check_validation(val_data, "val_data" if overfit_batches is None else "the batches to overfit")
    samples = length(train_data)
    best_state = None
    first_epoch = FirstEpoch()
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(torch.inference_mode(False))
        cleanup.enter_context(torch.enable_grad())
        processes = cleanup.enter_context(joined(kind))
        target = processes.device(kind)
        together = batch_size * processes.count
        steps = math.ceil(samples / together)
        run = None if out is None else RunFolder(out, resume=resume or not processes.leads)
        check_batch_size(samples, batch_size, processes.count)
        stop_asked = cleanup.enter_context(stoppable(run is not None))
        cleanup.enter_context(explaining_memory(model, batch_size, target))
        cleanup.enter_context(placed(model, objective, target))
        adam = (adamw if optimizer is None else optimizer)(parameters)
        stepper = Stepper(
            model,
            objective,
            adam,
            schedule(adam, math.ceil(steps / accumulate) * epochs),
            dtype=dtype,
            clip_norm=clip_norm,
            ema=ema,
            processes=processes,
        )
        if some_image_is_alone(samples, batch_size, processes.count):
            check_batch_of_one(model, target)
            warn_of_single_images(model, samples, batch_size, processes.count)
        reached = Reached()
        same = settings(
            stepper,
            train_data,
            val_data,
            epochs=epochs,
            batch_size=batch_size,
            processes=processes.count,
            accumulate=accumulate,
            seed=seed,
            ema=ema,
            best=best_key,
        )
        if run is not None:
            run.path.mkdir(parents=True, exist_ok=True)
            if resume:
                if processes.leads:
                    run.tidy()
                reached = load_checkpoint(run.path, stepper, same=same)
                best_state = run.best_state() if reached.best_score > -math.inf else None
                for callback in callbacks:
                    getattr(callback, "resume", lambda rows: None)(reached.history)
        history = reached.history

        def save() -> None:
            if run is not None and processes.leads:
                save_checkpoint(run.path, reached, stepper, same=same)
                if stop_asked() and reached.epoch <= epochs and not reached.ended:
                    logger.warning("stopped in epoch %d; resume=True goes on from there", reached.epoch)

        for epoch in range(reached.epoch, epochs + 1):
            if reached.ended:
                break
            started = time.perf_counter()  # monotonic moves in steps of 16 ms on some systems
            rate = float(stepper.schedule.get_last_lr()[0])
            totals = reached.totals if processes.leads else {}
            model.train()
            objective.train()
            loader = batches(
                train_data,
                model,
                batch_size=batch_size,
                workers=workers,
                augmentation=augmentation,
                seed=seed,
                epoch=epoch,
                start=reached.step,
                processes=processes,
            )
            bar = tqdm(
                loader,
                desc=f"epoch {epoch}/{epochs}",
                initial=reached.step,
                total=steps,
                leave=False,
                disable=None if progress and processes.leads else True,
            )
            done = reached.step * together
            seen, window, busy = done, 0, 0.0
            in_window: list[str] = []
            for step, (image, mask, names) in enumerate(bar, start=reached.step + 1):
                batch = min(together, samples - (step - 1) * together)
                own = len(processes.share(range(batch)))
                if window == 0:
                    window = waiting = min(accumulate * together, samples - (step - 1) * together)
                    in_window = []
                in_window += names
                waiting -= batch
                with seeded(seed, epoch, step, *processes.key, device=target):
                    image, mask = prepare(model, image, mask, augmentation, target)
                    if epoch == 1 and processes.leads:
                        first_epoch.see(mask)
                    keep = run and functools.partial(run.write_broken_batch, image, mask, names, epoch, step)
                    check = functools.partial(check_finite, epoch=epoch, step=step, names=names, keep=keep)
                    clock = time.perf_counter()
                    values = stepper.backward(image, mask, share=own / window, last=waiting == 0, check=check)
                if waiting == 0:
                    stepper.move(check=functools.partial(check, names=in_window))
                    window = 0
                busy += time.perf_counter() - clock
                seen += own
                for name, value in values.items():
                    totals[name] = totals.get(name, 0.0) + value * own
                bar.set_postfix({name: f"{value / seen:.3f}" for name, value in grouped(totals).items()})
                if window == 0 and step < steps and processes.any(stop_asked()):
                    reached.step, reached.totals = step, processes.summed(totals)
                    save()
                    return history
            trained = time.perf_counter() - started
            totals = processes.summed(totals)
            means = {name: value / samples for name, value in totals.items()}
            if epoch == 1 and processes.leads:
                first_epoch.end({name: mean for name, mean in means.items() if name != "loss"})
            processes.take_buffers_of_first(model)
            processes.take_buffers_of_first(stepper.averaged)
            row: Row = {"epoch": epoch, **means, "learning_rate": rate}
            if val_data is not None:
                scores = validate(
                    stepper,
                    val_data,
                    batch_size=batch_size,
                    workers=workers,
                    device=target,
                    metrics=() if best_metric is None else (best_metric,),
                    stop_asked=stop_asked,
                )
                if scores is None:  # a resumed run has no step left in this epoch, and validates
                    reached.step, reached.totals = steps, totals
                    save()
                    return history
                row |= scores
            row |= {
                "images_per_second": (samples - done) / trained,
                "busy": busy / trained,
                "memory_gb": most_memory_used(target.type),
                "seconds": time.perf_counter() - started,
            }
            history.append(row)
            stepper.averaged.eval()
            if processes.leads:
                shown = {name: value for name, value in grouped(row).items() if name != "epoch"}
                logger.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))
                answers = [callback(stepper.averaged, row) for callback in callbacks]
                reached.ended = any(isinstance(answer, bool | np.bool_) and bool(answer) for answer in answers)
            row |= {name: _plain(value) for name, value in processes.from_first(row).items()}
            reached.ended = processes.from_first(reached.ended)
            scores = {
                name: value for name, value in row.items() if name == "loss" or name not in {*means, *RUN, "epoch"}
            }
            score = _score(scores, best, required=val_data is not None or best != DEFAULT_BEST)
            improved = score > reached.best_score
            if improved:
                reached.best_score = score
                best_state = {key: value.detach().cpu().clone() for key, value in stepper.averaged.state_dict().items()}
            if run is not None and processes.leads:
                run.write(stepper.averaged, history, improved=improved, train_data=train_data, val_data=val_data)
            reached.epoch, reached.step, reached.totals = epoch + 1, 0, {}
            save()
            if reached.ended:
                logger.info("epoch %d: training ends here, as on_epoch asked", epoch)
            elif epoch < epochs and processes.any(stop_asked()):
                return history
        if best_state is None and history and (key := find_key(history[-1], best)) is not None:
            logger.warning("%s was not a number in any epoch: the last weights are kept", key)
        if best_state is not None:
            model.load_state_dict(best_state)
        elif stepper.average is not None:
            model.load_state_dict(stepper.averaged.state_dict())
        if overfit_batches is not None and processes.leads:
            tell_overfitting(history)
    return history


def adamw(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW with learning rate 1e-3, in one kernel: the default optimiser of `fit`."""
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True)


def _score(scores: Row, best: str, *, required: bool) -> float:
    """Return an epoch's score, such that higher is better; -inf without validation."""
    key = find_key(scores, best)
    if key is None:
        if required:
            raise ValueError(f"best={best!r} is no score of this epoch; its scores: {', '.join(scores)}")
        return -math.inf
    return gain(scores, key)


def _plain(value: float) -> float:
    """A number of Python's own, whatever `on_epoch` has put into a row."""
    return value if type(value) in (int, float) else float(value)
