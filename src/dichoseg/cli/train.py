"""`dichoseg train`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .building import (
    calibrate,
    described,
    edge_part,
    encoder_of,
    make_augmentation,
    make_network,
    make_transform,
    objective_parts,
)
from .options import (
    DATA,
    DeviceOption,
    ForegroundOption,
    ImagesOption,
    MasksOption,
    MaskSuffixOption,
    ResizeOption,
    ValOption,
    show_training_log,
    tell,
)
from .resuming import check_same, command_of, write_command
from .run_scores import score_run
from .training_data import open_training_data

if TYPE_CHECKING:
    import torch
    from torch import nn


def train(
    context: typer.Context,
    data: Annotated[Path | None, DATA] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the run.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with the run in this folder, which knows everything else; beside the whole command, start it "
            "if it is not there."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A name from `dichoseg list models`. Default: isnet, or what --weights holds.",
            rich_help_panel="Network",
        ),
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Such as timm:convnext_tiny.", rich_help_panel="Network")] = None,
    decoder: Annotated[
        str | None, typer.Option(help="Such as deconv, or 'fpn(channels=64)'.", rich_help_panel="Network")
    ] = None,
    heads: Annotated[str | None, typer.Option(help="Such as fused.", rich_help_panel="Network")] = None,
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained",
            help="Start a timm encoder from its published weights; fetches them. Default: random weights.",
            rich_help_panel="Network",
        ),
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights to start from: .pth, .ckpt, .safetensors, .onnx, a saved model, or a run.",
            rich_help_panel="Network",
        ),
    ] = None,
    freeze_batch_norm: Annotated[
        bool,
        typer.Option(
            "--freeze-batch-norm",
            help="Keep the statistics and weights of every batch norm as they are.",
            rich_help_panel="Network",
        ),
    ] = False,
    freeze_encoder: Annotated[
        bool,
        typer.Option(
            "--freeze-encoder",
            help="Keep the encoder as it is, its batch norm included, and train the rest.",
            rich_help_panel="Network",
        ),
    ] = False,
    checkpoint_activations: Annotated[
        bool,
        typer.Option(
            "--checkpoint-activations",
            help="Need less memory and more time: keep each stage's input alone, and compute the rest again.",
            rich_help_panel="Network",
        ),
    ] = False,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the network by torch.compile, which takes minutes and pays on a GPU.",
            rich_help_panel="Network",
        ),
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Side of the network's input, in pixels. Default: the model's, 1024 of isnet.",
            rich_help_panel="Network",
        ),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME[:WEIGHT] from `dichoseg list losses`; repeatable. Default: bce, deeply supervised. Edge losses "
            "supervise the final map only, and bce is added if nothing else is given.",
            rich_help_panel="Objective",
        ),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME[:WEIGHT] from `dichoseg list objectives`; repeatable, added to the losses.",
            rich_help_panel="Objective",
        ),
    ] = None,
    edge_loss: Annotated[
        str | None,
        typer.Option(
            help="NAME[:WEIGHT] of the loss on predicted edges. Default: balanced_bce, where the network predicts any, "
            "as EGNet does.",
            rich_help_panel="Objective",
        ),
    ] = None,
    gt_encoder: Annotated[
        str | None,
        typer.Option(
            help="Supervise the features with a GT encoder: train (trains one on the masks first, or uses the one in "
            "OUT), or the folder of a trained one.",
            rich_help_panel="Objective",
        ),
    ] = None,
    gt_encoder_epochs: Annotated[
        int, typer.Option(min=1, help="At most, with --gt-encoder train.", rich_help_panel="Objective")
    ] = 10,
    gt_encoder_weight: Annotated[
        float, typer.Option(min=0, help="Weight of its supervision in the loss.", rich_help_panel="Objective")
    ] = 1.0,
    augmentation: Annotated[
        list[str] | None,
        typer.Option(
            help="On the device: a name from `dichoseg list augmentations`; repeatable, in order.",
            rich_help_panel="Augmentation",
        ),
    ] = None,
    cpu_augmentation: Annotated[
        str | None,
        typer.Option(
            help="In the workers, through albumentations: dis_tuning, isnet or strong.", rich_help_panel="Augmentation"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.", rich_help_panel="Optimization")] = 10,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images per batch, of each process.", rich_help_panel="Optimization")
    ] = 8,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Batches per optimiser step.", rich_help_panel="Optimization")
    ] = 1,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="Of AdamW, at its highest.", rich_help_panel="Optimization")
    ] = 1e-3,
    encoder_rate: Annotated[
        float,
        typer.Option(
            min=0, help="The encoder's share of --learning-rate, such as 0.1.", rich_help_panel="Optimization"
        ),
    ] = 1.0,
    schedule: Annotated[
        Literal["cosine", "step", "constant"],
        typer.Option(
            help="How the learning rate falls: along a cosine to zero; to a tenth after 60 % and 90 % of the run; not.",
            rich_help_panel="Optimization",
        ),
    ] = "cosine",
    warmup: Annotated[
        int,
        typer.Option(min=0, help="Steps in which the learning rate rises first.", rich_help_panel="Optimization"),
    ] = 0,
    ema: Annotated[
        float | None,
        typer.Option(
            help="Validate and keep a moving average of the weights, such as 0.999.", rich_help_panel="Optimization"
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, help="End after so many epochs without a better --best.", rich_help_panel="Optimization"),
    ] = None,
    best: Annotated[
        str,
        typer.Option(
            help="Score that decides which weights are best: loss, a validation score, or a metric from "
            "`dichoseg list metrics`.",
            rich_help_panel="Optimization",
        ),
    ] = "quick_max_f",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 1,
    device: DeviceOption = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="auto: bfloat16 where the machine has it natively, else float32."),
    ] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and augmentation.")] = 0,
    overfit_batches: Annotated[
        int | None, typer.Option(min=1, help="Check that the set-up can learn: train on so many batches alone.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write OUT/tensorboard for TensorBoard as well.")
    ] = False,
    val: ValOption = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="Share of DATA to validate on instead, such as 0.1.", rich_help_panel="Data")
    ] = None,
    images: ImagesOption = "im",
    masks: MasksOption = "gt",
    mask_suffix: MaskSuffixOption = "",
    foreground: ForegroundOption = None,
    resize_masks: ResizeOption = False,
    skip_broken: Annotated[
        bool,
        typer.Option("--skip-broken", help="Leave out what cannot be used; each is named.", rich_help_panel="Data"),
    ] = False,
    check_data: Annotated[
        bool, typer.Option("--check/--no-check", help="Read all of the data first.", rich_help_panel="Data")
    ] = True,
) -> None:
    """Train a model on a folder of images and masks, score it, and show how it went."""
    import functools

    import torch

    from .. import batch_norm
    from ..objectives import IntermediateSupervision, WeightedSum
    from ..runtime.device import choose_device
    from ..runtime.memory import keep_memory
    from ..runtime.signals import stoppable
    from ..training import callbacks, fit, fit_gt_encoder, parameters, recomputation, schedules
    from ..training.processes import leads
    from ..training.run_folder import COMMAND, TENSORBOARD, RunFolder
    from ..training.selection import check_best
    from ..training.two_stage import gt_encoder_folder
    from ..weights import load_model

    show_training_log()
    if resume is not None and data is None:
        train(context, **command_of(resume, context), out=resume, resume=resume)
        return
    out = out or resume
    if data is None or out is None:
        raise ValueError("wanted DATA and --out, or --resume with the folder of a run")
    if resume is not None and resume != out:
        raise ValueError(f"--out {out} and --resume {resume} are two folders; a run goes on in its own")
    noted = context.params.keys() - {"out", "resume"}
    command = {name: value for name, value in locals().items() if name in noted}
    if gt_encoder not in (None, "train") and Path(gt_encoder).exists():
        command["gt_encoder"] = str(Path(gt_encoder).absolute())

    if resume is not None:
        check_same(command, resume, context)
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"--ema must be between 0 and 1, such as 0.999; got {ema}")
    if not encoder_rate > 0:
        raise ValueError(f"--encoder-rate must be above 0; got {encoder_rate} (--freeze-encoder is for none)")
    keep_memory()
    # what can be refused is refused before the data is read
    if leads():
        RunFolder(out, resume=resume is not None)
    parts = objective_parts(loss or ([] if objective else ["bce"]), objective or [])
    device_augmentation = make_augmentation(augmentation or [])
    swapped = {"encoder": encoder, "decoder": decoder, "heads": heads}
    network = make_network(model, swapped, pretrained=pretrained, weights=weights, size=size, seed=seed)
    if freeze_batch_norm:
        batch_norm.freeze_batch_norm(network)
    if freeze_encoder:
        parameters.freeze(encoder_of(network, "--freeze-encoder"))
    if checkpoint_activations:
        recomputation.checkpoint_activations(network)
    if compile:
        network.compile()

    def optimizer(trainable: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        groups: Any = trainable
        if encoder_rate != 1:
            groups = parameters.parameter_groups(network, learning_rate, encoder=encoder_rate)
        return torch.optim.AdamW(groups, lr=learning_rate, fused=True)

    falling = {"cosine": schedules.cosine, "step": schedules.step_decay, "constant": schedules.constant}
    parts |= edge_part(network, edge_loss, parts)
    in_workers = cpu_augmentation if overfit_batches is None else None
    transform = make_transform(in_workers, network.preprocessing.size or 1024)
    if gt_encoder == "train":
        gt_encoder_folder(out, resume=resume is not None)
    elif gt_encoder is not None:
        parts["gt_encoder"] = (gt_encoder_weight, IntermediateSupervision(load_model(gt_encoder), student=network))
    target = choose_device(device, torch.device("cpu"))
    training, validation = open_training_data(
        data,
        val=val,
        val_fraction=val_fraction,
        images=images,
        masks=masks,
        mask_suffix=mask_suffix,
        foreground=foreground,
        resize_masks=resize_masks,
        skip_broken=skip_broken,
        check=check_data,
        seed=seed,
    )
    if batch_norm.is_uncalibrated(network):
        calibrate(network, training, batch_size)
    training.transform = transform
    if patience is not None and validation is None:
        raise ValueError("--patience needs validation data: --val, or --val-fraction 0.1")
    check_best(best, validates=validation is not None or overfit_batches is not None)
    board = [callbacks.TensorBoard(out / TENSORBOARD)] if tensorboard else []
    stopping = [] if patience is None else [callbacks.EarlyStopping(patience, metric=best)]
    held_out = "none (--val-fraction 0.1 holds some back)" if validation is None else len(validation)
    tell(f"{described(network)}: {len(training)} images to train on, {held_out} to validate on")
    shared: dict[str, Any] = {
        "val_data": validation,
        "augmentation": device_augmentation,
        "batch_size": batch_size,
        "device": device,
        "precision": precision,
        "workers": workers,
        "seed": seed,
        "out": out,
        "resume": resume is not None,
    }
    if leads() and not (resume is not None and (out / COMMAND).exists()):
        write_command(out, command)
    if gt_encoder == "train":
        try:
            with stoppable(True) as stop_asked:
                supervisor = fit_gt_encoder(network, training, epochs=gt_encoder_epochs, **shared)
            if stop_asked():  # in its last epoch
                raise KeyboardInterrupt("stopped after the training of the GT encoder")
        except KeyboardInterrupt as stopped:
            tell(f"{stopped}; dichoseg train --resume {out} goes on")
            raise typer.Exit(130) from None
        parts["gt_encoder"] = (gt_encoder_weight, IntermediateSupervision(supervisor))
    history = fit(
        network,
        training,
        objective=WeightedSum(**parts),
        epochs=epochs,
        accumulate=accumulate,
        optimizer=optimizer,
        schedule=functools.partial(falling[schedule], warmup=warmup),
        ema=ema,
        on_epoch=[*board, *stopping],
        overfit_batches=overfit_batches,
        best=best,
        **shared,
    )
    if not leads():
        return
    if len(history) < epochs and not any(one.waited >= one.patience for one in stopping):
        tell(f"stopped after {len(history)} of {epochs} epochs; dichoseg train --resume {out} goes on")
        raise typer.Exit(130)
    before = f"{history[0]['loss']:.4f} -> " if len(history) > 1 else ""
    typer.echo(f"loss {before}{history[-1]['loss']:.4f}; model in {out}")
    if validation is not None and overfit_batches is None:
        score_run(out, history, training, validation, target, best=best)
