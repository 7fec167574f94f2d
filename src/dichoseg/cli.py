"""The command line: each command parses, calls one public function and prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from . import registry

if TYPE_CHECKING:
    from .contracts import Objective

app = typer.Typer(
    name="dichoseg",
    help="Dichotomous image segmentation: separate the foreground of a photograph from its background.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="A new folder for the run, the scores and the contact sheet.")] = Path(
        "demo"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the drawn scenes.")] = 5,
    seed: Annotated[int, typer.Option(help="Of weights, scenes and training.")] = 0,
) -> None:
    """Train a small IS-Net on drawn scenes, in about two minutes on two cores, and show that it has learnt."""
    _show_training_log()
    from .demo import run_demo

    scores = run_demo(out, epochs=epochs, seed=seed)
    typer.echo(f"{'held-out scenes':16}{'max_f':>8}{'mae':>8}")
    for name, row in scores.items():
        typer.echo(f"{name:16}{row['max_f']:8.3f}{row['mae']:8.3f}")
    typer.echo(f"contact sheet: {out / 'contact_sheet.png'}")


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="DATA/im and DATA/gt, or the same below DATA/train or DATA/DIS-TR.")],
    out: Annotated[Path, typer.Option(help="A new folder for the run.")],
    model: Annotated[str, typer.Option(help="A name from `dichoseg list models`.")] = "isnet",
    encoder: Annotated[str | None, typer.Option(help="Such as timm:convnext_tiny.")] = None,
    decoder: Annotated[str | None, typer.Option(help="Such as deconv.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights to start from: .pth or .safetensors.")] = None,
    size: Annotated[int | None, typer.Option(min=32, help="Side of the network's input, in pixels.")] = None,
    loss: Annotated[
        list[str] | None, typer.Option(help="NAME[:WEIGHT], deeply supervised; repeatable. Default: bce.")
    ] = None,
    augmentation: Annotated[str | None, typer.Option(help="A name from `dichoseg list augmentations`.")] = None,
    val: Annotated[
        Path | None, typer.Option(help="Validation set. Default: DATA/val or DATA/DIS-VD, if there.")
    ] = None,
    val_fraction: Annotated[float | None, typer.Option(help="Share of DATA to validate on instead.")] = None,
    gt_encoder: Annotated[Path | None, typer.Option(help="A trained GT encoder to supervise the features.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    learning_rate: Annotated[float, typer.Option()] = 1e-3,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 1,
    device: Annotated[str | None, typer.Option(help="Such as cuda or cpu.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train a model on a folder of images and masks."""
    _show_training_log()
    import dataclasses
    import functools

    import torch

    from .data import FolderDataset, find_folders
    from .models import create_model
    from .training import fit

    if val is not None and val_fraction is not None:
        raise ValueError("--val and --val-fraction exclude each other")
    training = FolderDataset(*find_folders(data))
    validation = None
    if val_fraction is not None:
        training, validation = training.split(val_fraction, seed=seed)
    elif val is not None or any((data / part / "im").is_dir() for part in ("val", "DIS-VD")):
        root = data if val is None else val
        validation = FolderDataset(*find_folders(root, part="train" if val is not None else "val"))
    recipe: dict[str, Any] = {
        key: value for key, value in (("encoder", encoder), ("decoder", decoder)) if value is not None
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = create_model(model, weights=weights, **recipe)
    if size is not None:
        network.preprocessing = dataclasses.replace(network.preprocessing, size=size)
    typer.echo(f"{model}: {len(training)} images to train on, {len(validation or ())} to validate on", err=True)
    history = fit(
        network,
        training,
        val_data=validation,
        objective=_objective(loss or ["bce"], gt_encoder),
        augmentation=None if augmentation is None else registry.load_component("augmentations", augmentation)(),
        epochs=epochs,
        batch_size=batch_size,
        optimizer=functools.partial(torch.optim.AdamW, lr=learning_rate),
        device=device,
        workers=workers,
        seed=seed,
        out=out,
    )
    typer.echo(f"loss {history[0]['loss']:.4f} -> {history[-1]['loss']:.4f}; model in {out}")


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A saved model, a run's folder, or a hub id.")],
    images: Annotated[list[Path], typer.Argument(help="Photographs, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    cutout: Annotated[bool, typer.Option(help="Write photographs with the mask as their alpha instead.")] = False,
    device: Annotated[str | None, typer.Option(help="Such as cuda or cpu.")] = None,
) -> None:
    """Write the mask of each photograph as a PNG of its size."""
    from .inference import Predictor, predict_files
    from .models import load_model

    predictor = Predictor(load_model(model), device=device)
    failures = predict_files(predictor, images, out, cutout=cutout)
    for failure in failures:
        typer.echo(f"error: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


@app.command("list")
def list_(
    group: Annotated[str | None, typer.Argument(help=", ".join(registry.GROUPS) + ". Default: all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Import each, and show what is broken.")] = False,
) -> None:
    """List the installed components and the packages that they come from."""
    broken = 0
    for each in registry.GROUPS if group is None else (group,):
        installed = registry.components(each)
        typer.echo(each)
        for component in installed:
            line = f"  {component.name:28}{component.package}"
            if check:
                try:
                    component.load()
                except ImportError as error:
                    broken += 1
                    line += f"  {error}"
                else:
                    line += "  ok"
            typer.echo(line)
    if broken:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an error that a user can mend is one line."""
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, RuntimeError) as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    sys.exit(1)


def _objective(losses: list[str], gt_encoder: Path | None) -> Objective:
    from .losses import DeepSupervision, IntermediateSupervision, WeightedSum
    from .models import load_model

    parts: dict[str, tuple[float, Objective]] = {}
    for text in losses:
        parsed = registry.ComponentName.parse(text)
        try:
            weight = float(parsed.argument or 1)
        except ValueError:
            raise ValueError(f"a loss is NAME or NAME:WEIGHT, the weight a number; got {text!r}") from None
        if parsed.name in parts:
            raise ValueError(f"loss {parsed.name!r} is given twice")
        make = registry.load_component("losses", text.partition(":")[0])
        parts[parsed.name] = (weight, DeepSupervision(make()))
    if gt_encoder is not None:
        parts["gt_encoder"] = (1.0, IntermediateSupervision(load_model(gt_encoder)))
    return WeightedSum(**parts)


def _show_training_log() -> None:
    import logging

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("dichoseg").setLevel(logging.INFO)
