"""`fit`: one loop that trains any model on any data set of images and masks."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import Dataset, Subset
from tqdm import tqdm

from ..augmentations.gpu import Augmentation
from ..contracts import Model, Objective, Samples
from ..inference.prepare import choose_device, uses_bfloat16
from ..losses.objectives import default_objective
from ..metrics.online import OnlineMetrics
from .checkpoint import Reached, load_checkpoint, save_checkpoint, settings, stoppable
from .checks import (
    FirstEpoch,
    check_batch_norm,
    check_batch_of_one,
    check_finite,
    check_validation,
    grouped,
    tell_overfitting,
    warn_of_single_images,
)
from .loading import batches, length, prepare, seeded
from .run_folder import Row, RunFolder

logger = logging.getLogger(__name__)

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
MakeSchedule = Callable[[torch.optim.Optimizer, int], LRScheduler]


def cosine(optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
    """Cosine decay to zero over all steps: the default schedule of `fit`."""
    return CosineAnnealingLR(optimizer, T_max=steps)


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
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    device: str | torch.device | None = None,
    workers: int = 0,
    seed: int = 0,
    overfit_batches: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[Model, Row], object] | None = None,
    progress: bool = True,
) -> list[Row]:
    """Train a model.

    Each step loads images and masks, resizes them to the model's size, augments them on the device, normalises
    them and minimises the objective. A model whose `preprocessing.source` is `"mask"`, a GT encoder, gets the mask
    as its image. All randomness derives from `seed`; global random state is left as it was found.

    What usually explains a loss that stays flat is logged as a warning: masks that are nearly all empty, a term
    that makes up most of the loss, batches of one image beside live batch norm.

    Args:
        model: Trained in place. Afterwards it holds the best weights by `quick_max_f`, or the last without
            `val_data`, and is on the device and in the mode in which it came.
        train_data: A map-style data set of `Sample` or of (image, mask) pairs, images in [0, 1].
        objective: What to minimise. Default: `DeepSupervision(BCELoss())`, and `EdgeSupervision()` beside it for a
            model that predicts edges.
        val_data: Scored after each epoch, with `val_loss`, `quick_mae` and `quick_max_f`.
        augmentation: `(image, mask) -> (image, mask)` on batches in [0, 1], such as `gpu_augmentation()`.
        epochs: Passes over the data.
        batch_size: Images per forward pass.
        accumulate: Batches per optimiser step; the loss is their mean over images.
        optimizer: Makes an optimiser of the trainable parameters. Default: AdamW with learning rate 1e-3.
        schedule: Makes a schedule of an optimiser and the number of steps; it moves after every step.
        clip_norm: Largest norm of the gradient; None clips nothing.
        precision: `"auto"` is bfloat16 autocast where the machine has it natively, else float32.
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
        on_epoch: Called after each epoch with the model and the epoch's row; where it returns True, training ends.
        progress: Whether to show a bar on a terminal.

    Returns:
        One row per epoch; fewer than `epochs` where training was stopped, and then the model holds what it had.

    Raises:
        ValueError: Arguments or data that cannot be trained on; the message names them.
        FileExistsError: `out` already holds something.
        FloatingPointError: A loss that is not finite; the message names the term, the step and the images.
    """
    counts = {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate, "overfit_batches": overfit_batches}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} must be 1 or more; got {value}")
    if objective is not None and not isinstance(objective, Objective):
        raise TypeError(f"objective must be an Objective, such as DeepSupervision(loss); got {objective!r}")
    if augmentation is not None and not callable(augmentation):
        raise TypeError(f"augmentation must be a function, such as gpu_augmentation('isnet'); got {augmentation!r}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more; got {seed}")
    for name, data in (("train_data", train_data), ("val_data", val_data)):
        if data is not None and length(data) == 0:
            raise ValueError(f"{name} holds no samples")
    if overfit_batches is not None:
        few = range(min(overfit_batches * batch_size, length(train_data)))
        train_data = val_data = Subset(cast(Dataset[Any], train_data), few)
        augmentation = None
    objective = default_objective(model) if objective is None else objective
    objective.check(model)
    check_batch_norm(model)
    if resume and out is None:
        raise ValueError("resume=True goes on with the run in `out`; got no out")
    run = None if out is None else RunFolder(out, resume=resume)
    same = settings(model, train_data, epochs=epochs, batch_size=batch_size, accumulate=accumulate, seed=seed)
    home, was_training = next(model.parameters()).device, model.training
    target = choose_device(device, home)
    autocast = torch.autocast(target.type, torch.bfloat16, enabled=uses_bfloat16(precision, target))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("the model has no parameter that takes a gradient; is all of it frozen?")
    if val_data is not None:
        check_validation(val_data, "val_data" if overfit_batches is None else "the batches to overfit")
    samples = length(train_data)
    steps = math.ceil(samples / batch_size)
    reached, best_state = Reached(), None
    first_epoch = FirstEpoch()
    cleanup = contextlib.ExitStack()
    try:
        stop_asked = cleanup.enter_context(stoppable(run is not None))
        model.to(target)
        objective.to(target)
        make_optimizer = functools.partial(torch.optim.AdamW, lr=1e-3) if optimizer is None else optimizer
        adam = make_optimizer(parameters)
        learning_rate = schedule(adam, math.ceil(steps / accumulate) * epochs)
        if samples % batch_size == 1 or batch_size == 1:
            check_batch_of_one(model, target)
            warn_of_single_images(model, samples, batch_size)
        if run is not None:
            run.path.mkdir(parents=True, exist_ok=True)
            if resume:
                reached = load_checkpoint(run.path, model, adam, learning_rate, same=same)
                best_state = run.best_state() if reached.best_score > -math.inf else None
        history = reached.history

        def save() -> None:
            if run is not None:
                save_checkpoint(run.path, reached, model, adam, learning_rate, same=same)
                if stop_asked():
                    logger.warning("stopped in epoch %d; resume=True goes on from there", reached.epoch)

        for epoch in range(reached.epoch, epochs + 1):
            if reached.ended:
                break
            started = time.monotonic()
            rate = float(learning_rate.get_last_lr()[0])
            totals = reached.totals
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
            )
            bar = tqdm(
                loader,
                desc=f"epoch {epoch}/{epochs}",
                initial=reached.step,
                total=steps,
                leave=False,
                disable=None if progress else True,
            )
            window = 0
            for step, (image, mask, names) in enumerate(bar, start=reached.step + 1):
                if window == 0:
                    first = (step - 1) * batch_size
                    window = min(accumulate * batch_size, samples - first)
                    waiting = window
                with seeded(seed, epoch, step, device=target):
                    image, mask = prepare(model, image, mask, augmentation, target)
                    if epoch == 1:
                        first_epoch.see(mask)
                    with autocast:
                        prediction = model(image)
                    terms = objective.terms(prediction, mask)
                    check_finite(terms, epoch, step, names)
                    loss = torch.stack(list(terms.values())).sum()
                    (loss * (len(image) / window)).backward()
                waiting -= len(image)
                if waiting <= 0:
                    if clip_norm is not None:
                        nn.utils.clip_grad_norm_(parameters, clip_norm)
                    adam.step()
                    learning_rate.step()
                    adam.zero_grad(set_to_none=True)
                    window = 0
                for name, term in [("loss", loss), *terms.items()]:
                    totals[name] = totals.get(name, 0.0) + float(term.detach()) * len(image)
                seen = min(step * batch_size, samples)
                bar.set_postfix({name: f"{value / seen:.3f}" for name, value in grouped(totals).items()})
                if stop_asked() and window == 0 and step < steps:
                    reached.step = step
                    save()
                    return history
            means = {name: value / samples for name, value in totals.items()}
            if epoch == 1:
                first_epoch.end({name: mean for name, mean in means.items() if name != "loss"})
            row: Row = {"epoch": epoch, **means, "learning_rate": rate}
            if val_data is not None:
                row |= _validate(model, objective, val_data, batch_size, workers, target, autocast)
            row["seconds"] = time.monotonic() - started
            history.append(row)
            shown = {name: value for name, value in grouped(row).items() if name != "epoch"}
            logger.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))
            improved = row.get("quick_max_f", -math.inf) > reached.best_score
            if improved:
                reached.best_score = row["quick_max_f"]
                best_state = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
            if run is not None:
                run.write(model, history, improved=improved, train_data=train_data, val_data=val_data)
            answer = None if on_epoch is None else on_epoch(model, row)
            reached.ended = isinstance(answer, bool | np.bool_) and bool(answer)
            reached.epoch, reached.step, reached.totals = epoch + 1, 0, {}
            save()
            if reached.ended:
                logger.info("epoch %d: training ends here, as on_epoch asked", epoch)
            elif stop_asked() and epoch < epochs:
                return history
        if best_state is not None:
            model.load_state_dict(best_state)
        if overfit_batches is not None:
            tell_overfitting(history)
    finally:
        cleanup.close()
        model.zero_grad(set_to_none=True)
        model.to(home).train(was_training)
        objective.to(home)
    return history


@torch.no_grad()
def _validate(
    model: Model,
    objective: Objective,
    data: Samples,
    batch_size: int,
    workers: int,
    device: torch.device,
    autocast: torch.autocast,
) -> Row:
    metrics = OnlineMetrics()
    model.eval()
    objective.eval()
    loss = 0.0
    for image, mask, _ in batches(data, model, batch_size=batch_size, workers=workers):
        image, mask = prepare(model, image, mask, None, device)
        with autocast:
            prediction = model(image)
        loss += float(objective(prediction, mask)) * len(image)
        metrics.update(prediction.logits, mask)
    return {"val_loss": loss / length(data), **metrics.compute()}
