"""`dichoseg train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .. import registry
from .options import (
    DATA,
    ForegroundOption,
    ImagesOption,
    MasksOption,
    ResizeOption,
    ValOption,
    show_training_log,
    usable_device,
)

if TYPE_CHECKING:
    import torch

    from ..augmentations.gpu import Augmentation
    from ..contracts import Model, Objective
    from ..data import FolderDataset
    from ..training.run_folder import Row


def train(
    context: typer.Context,
    data: Annotated[Path | None, DATA] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder for the run.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, which knows everything else.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A name from `dichoseg list models`. Default: isnet, or what --weights holds.",
            rich_help_panel="Network",
        ),
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Such as timm:convnext_tiny.", rich_help_panel="Network")] = None,
    decoder: Annotated[str | None, typer.Option(help="Such as deconv.", rich_help_panel="Network")] = None,
    pretrained: Annotated[
        bool,
        typer.Option(
            "--pretrained",
            help="Start a timm encoder from its published weights; fetches them.",
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
    size: Annotated[
        int | None, typer.Option(min=32, help="Side of the network's input, in pixels.", rich_help_panel="Network")
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME[:WEIGHT] from `dichoseg list losses`; repeatable. Default: bce, deeply supervised. Edge losses "
            "see the answer alone, and bce is added where nothing else is given.",
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
            help="In the workers, through albumentations: dis-tuning or isnet.", rich_help_panel="Augmentation"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    accumulate: Annotated[int, typer.Option(min=1, help="Batches per optimiser step.")] = 1,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="Of AdamW, at the start; it falls along a cosine.")
    ] = 1e-3,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 1,
    device: Annotated[str | None, typer.Option(help="Such as cuda or cpu.")] = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="auto: bfloat16 where the machine has it natively.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
    overfit_batches: Annotated[
        int | None, typer.Option(min=1, help="Check that the set-up can learn: train on so many batches alone.")
    ] = None,
    val: ValOption = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="Share of DATA to validate on instead.", rich_help_panel="Data")
    ] = None,
    images: ImagesOption = "im",
    masks: MasksOption = "gt",
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

    from ..augmentations import cpu_augmentation as make_cpu_augmentation
    from ..data import open_folders
    from ..inference.memory import keep_memory
    from ..losses import IntermediateSupervision, WeightedSum
    from ..models import load_model
    from ..models.weights import batch_norm
    from ..training import fit, fit_gt_encoder
    from ..training.gt_encoder import gt_encoder_folder
    from ..training.run_folder import RunFolder

    show_training_log()
    if resume is not None and data is None:
        train(context, **_command_of(resume, context), out=resume, resume=resume)
        return
    out = out or resume
    if data is None or out is None:
        raise ValueError("wanted DATA and --out, or --resume with the folder of a run")
    if resume is not None and resume != out:
        raise ValueError(f"--out {out} and --resume {resume} are two folders; a run goes on in its own")
    parameters = context.params.keys() - {"out", "resume"}
    command = {name: value for name, value in locals().items() if name in parameters}
    if gt_encoder is not None and Path(gt_encoder).exists():
        command["gt_encoder"] = str(Path(gt_encoder).absolute())

    keep_memory()
    # what can be refused is refused before the data is read
    RunFolder(out, resume=resume is not None)
    parts = _loss_parts(loss or ["bce"])
    device_augmentation = _augmentation(augmentation or [])
    network = _network(model, encoder, decoder, pretrained=pretrained, weights=weights, size=size, seed=seed)
    if freeze_batch_norm:
        batch_norm.freeze_batch_norm(network)
    parts |= _edge_part(network, edge_loss)
    transform = None
    if cpu_augmentation is not None and overfit_batches is None:
        transform = make_cpu_augmentation(cpu_augmentation, size=network.preprocessing.size or 1024)
    if gt_encoder == "train":
        gt_encoder_folder(out, resume=resume is not None)
    elif gt_encoder is not None:
        parts["gt_encoder"] = (gt_encoder_weight, IntermediateSupervision(load_model(gt_encoder), student=network))
    target = usable_device(device)
    if val is not None and val_fraction is not None:
        raise ValueError("--val and --val-fraction exclude each other")
    training, validation = open_folders(
        data,
        val=False if val_fraction is not None else val,
        images=images,
        masks=masks,
        foreground=foreground,
        resize_masks=resize_masks,
        strict=not (check_data or skip_broken),
    )
    if check_data:
        training = _usable("training", training, validation, skip_broken=skip_broken)
        validation = validation and _usable("validation", validation, None, skip_broken=skip_broken)
    if val_fraction is not None:  # of what is usable
        training, validation = training.split(val_fraction, seed=seed)
    if batch_norm.is_uncalibrated(network):
        _calibrate(network, training, batch_size)
    training.transform = transform
    held_out = "none (--val-fraction 0.1 holds some back)" if validation is None else len(validation)
    name = (network.recipe or {}).get("name", "model")
    typer.echo(f"{name}: {len(training)} images to train on, {held_out} to validate on", err=True)
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
    _write_command(out, command)
    if gt_encoder == "train":
        try:
            supervisor = fit_gt_encoder(network, training, epochs=gt_encoder_epochs, **shared)
        except KeyboardInterrupt as stopped:
            typer.echo(f"{stopped}; dichoseg train --resume {out} goes on", err=True)
            raise typer.Exit(130) from None
        parts["gt_encoder"] = (gt_encoder_weight, IntermediateSupervision(supervisor))
    history = fit(
        network,
        training,
        objective=WeightedSum(**parts),
        epochs=epochs,
        accumulate=accumulate,
        optimizer=functools.partial(torch.optim.AdamW, lr=learning_rate),
        overfit_batches=overfit_batches,
        **shared,
    )
    if len(history) < epochs:
        typer.echo(f"stopped after {len(history)} of {epochs} epochs; dichoseg train --resume {out} goes on", err=True)
        raise typer.Exit(130)
    typer.echo(f"loss {history[0]['loss']:.4f} -> {history[-1]['loss']:.4f}; model in {out}")
    if validation is not None and overfit_batches is None:
        _score_run(out, history, training, validation, target)


def _write_command(out: Path, command: dict[str, Any]) -> None:
    """Leave in a run's folder what it was started with, for `--resume`."""
    from ..models.weights.writing import write_json
    from ..training.run_folder import COMMAND

    out.mkdir(parents=True, exist_ok=True)
    # a path is noted whole, so that it can be resumed from anywhere
    write_json(
        out / COMMAND,
        {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in command.items()},
    )


def _command_of(run: Path, context: typer.Context) -> dict[str, Any]:
    """What a run was started with."""
    import json

    from ..training.run_folder import COMMAND

    for name in context.params:
        source = context.get_parameter_source(name)
        if name != "resume" and source is not None and source.name == "COMMANDLINE":
            raise ValueError(
                f"--resume takes everything from the run, but --{name.replace('_', '-')} was given too; give --resume "
                "alone, or the whole command"
            )
    try:
        command: dict[str, Any] = json.loads((run / COMMAND).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"no run of `dichoseg train` in {run}: it has no {COMMAND}") from None
    except ValueError as error:
        raise ValueError(f"{run / COMMAND} cannot be read: {error}") from error
    for name in ("data", "val", "weights"):  # which are paths
        command[name] = command[name] and Path(command[name])
    return command


def _network(
    model: str | None,
    encoder: str | None,
    decoder: str | None,
    *,
    pretrained: bool,
    weights: Path | None,
    size: int | None,
    seed: int,
) -> Model:
    import dataclasses

    from ..models import create_model, load_model
    from ..training.loading import seeded

    recipe: dict[str, Any] = {
        key: value for key, value in (("encoder", encoder), ("decoder", decoder)) if value is not None
    }
    if pretrained:
        recipe["encoder_args"] = {"pretrained": True}
    with seeded(seed):
        if weights is not None and model is None and not recipe:
            network = load_model(weights)
        else:
            network = create_model(model or "isnet", weights=weights, **recipe)
    if size is not None:
        network.preprocessing = dataclasses.replace(network.preprocessing, size=size)
    return network


def _calibrate(network: Model, training: FolderDataset, batch_size: int) -> None:
    """Give the batch norms of a network from a folded file the statistics of some of its training images."""
    import torch

    from ..models.weights import calibrate_batch_norm

    preprocessing = network.preprocessing
    indices = torch.linspace(0, len(training) - 1, min(len(training), max(batch_size, 2))).round().int().tolist()
    samples = [training[index] for index in indices]
    pictures = [sample.mask if preprocessing.source == "mask" else sample.image for sample in samples]
    images = [preprocessing.normalize(preprocessing.resize(picture[None])) for picture in pictures]
    if preprocessing.size is None:
        images = images[:1]
    calibrate_batch_norm(network, torch.cat(images))
    typer.echo(
        f"the weights' batch norms were folded away: calibrated on {len(images)} training images, which leaves the "
        "function as it is (--freeze-batch-norm keeps them out of training instead)",
        err=True,
    )


def _edge_part(network: Model, edge_loss: str | None) -> dict[str, tuple[float, Objective]]:
    """Supervision of the edges that a network predicts, where it predicts any or where it is asked for."""
    from ..losses import EdgeSupervision
    from ..losses.objectives import predicts_edges

    if edge_loss is None and not predicts_edges(network):
        return {}
    make, weight = _loss(edge_loss or "balanced_bce")
    supervision = EdgeSupervision(make())
    supervision.check(network)
    return {"predicted_edges": (weight, supervision)}


def _loss(text: str) -> tuple[Any, float]:
    """The class and the weight of NAME[:WEIGHT]."""
    parsed = registry.ComponentName.parse(text)
    try:
        weight = float(parsed.argument or 1)
    except ValueError:
        raise ValueError(f"a loss is NAME or NAME:WEIGHT, the weight a number; got {text!r}") from None
    if not 0 < weight < float("inf"):
        raise ValueError(f"the weight of a loss must be a finite number above 0; got {text!r}")
    return registry.load_component("losses", text.partition(":")[0]), weight


def _loss_parts(losses: list[str]) -> dict[str, tuple[float, Objective]]:
    """The parts of a `WeightedSum`, from NAME[:WEIGHT] each."""
    from ..losses import BCELoss, DeepSupervision

    parts: dict[str, tuple[float, Objective]] = {}
    all_second_terms = True
    for text in losses:
        make, weight = _loss(text)
        name = registry.ComponentName.parse(text).name
        if name in parts:
            raise ValueError(f"loss {name!r} is given twice")
        second_term = getattr(make, "second_term", False)
        all_second_terms &= second_term
        parts[name] = (weight, DeepSupervision(make(), side_weight=0.0 if second_term else 1.0))
    if all_second_terms:
        typer.echo(f"{' and '.join(parts)} would leave the inside of the object unsupervised: bce is added", err=True)
        parts = {"bce": (1.0, DeepSupervision(BCELoss())), **parts}
    return parts


def _augmentation(names: list[str]) -> Augmentation | None:
    steps = [registry.load_component("augmentations", name)() for name in names]
    if len(steps) < 2:
        return steps[0] if steps else None
    from ..augmentations import Compose

    return Compose(*steps)


def _usable(name: str, dataset: FolderDataset, other: FolderDataset | None, *, skip_broken: bool) -> FolderDataset:
    """Show what is wrong with a data set; leave out what cannot be used where that was asked, else refuse it."""
    report = dataset.report(other=other, progress=True)
    if report.problems:
        typer.echo(f"{name} set: {report.text()}", err=True)
    if not report.errors:
        return dataset
    if not skip_broken:
        raise ValueError(
            f"{len(report.errors)} files or pairs of the {name} set cannot be used, as listed above; mend them, or "
            "leave them out with --skip-broken (dichoseg check --all lists everything)"
        )
    if len(report.unusable) == len(dataset):
        raise ValueError(f"nothing of the {name} set can be used, as listed above")
    remaining = dataset.without(report.unusable)
    names = ", ".join(sorted({error.name for error in report.errors}))
    typer.echo(f"{name} set: {len(remaining)} pairs remain; left out, as listed above: {names}", err=True)
    return remaining


def _score_run(
    run: Path, history: list[Row], training: FolderDataset, validation: FolderDataset, device: torch.device
) -> None:
    """Score the last and the best model of a run as papers do, at the masks' own size, and say so in their cards."""
    import dataclasses

    from ..inference import evaluate
    from ..models import load_model
    from ..models.weights.card import write_card
    from ..models.weights.writing import write_json
    from ..training.run_folder import training_card

    course = [row["quick_max_f"] for row in history]
    best = course.index(max(course)) + 1  # the first of equals, as in fit
    scores: dict[str, dict[str, float]] = {}
    for name, epochs in (("last", len(history)), ("best", best)):
        model = load_model(run / name).to(device)
        same = name == "best" and best == len(history)
        scores[name] = scores["last"] if same else evaluate(model, validation, progress=True)
        on = f"{len(validation)} validation images at their masks' own size"
        card = training_card(training, history[:epochs])
        write_card(model, run / name, dataclasses.replace(card, scores=scores[name], evaluated_on=on))
    write_json(run / "scores.json", scores)
    typer.echo("".join(f"{name:>12}" for name in ["validation", *scores["last"]]))
    for name, row in scores.items():
        typer.echo(f"{name:>12}" + "".join(f"{value:12.3f}" for value in row.values()))
