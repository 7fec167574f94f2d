"""The command line: each command parses, calls one public function and prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from . import registry

if TYPE_CHECKING:
    import torch

    from .augmentations.gpu import Augmentation
    from .contracts import Model, Objective
    from .data import FolderDataset
    from .training.run_folder import Row

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


DataArgument = Annotated[
    Path, typer.Argument(help="DATA/im and DATA/gt, or the same below DATA/train or DATA/DIS-TR.", show_default=False)
]
ImagesOption = Annotated[str, typer.Option(help="Name of the images' folder.", rich_help_panel="Data")]
MasksOption = Annotated[
    str,
    typer.Option(help="Name of the masks' folder, or alpha: the images are cut-outs.", rich_help_panel="Data"),
]
ForegroundOption = Annotated[
    list[int] | None,
    typer.Option(help="Label id that is foreground, where masks hold ids; repeatable.", rich_help_panel="Data"),
]
ResizeOption = Annotated[
    bool,
    typer.Option("--resize-masks", help="Resize masks of another size to their image's.", rich_help_panel="Data"),
]
ValOption = Annotated[
    Path | None,
    typer.Option(help="Validation set. Default: DATA/val or DATA/DIS-VD, if there.", rich_help_panel="Data"),
]


@app.command()
def check(
    data: DataArgument,
    sheet: Annotated[Path, typer.Argument(help="The picture that --preview writes.")] = Path("preview.png"),
    val: ValOption = None,
    images: ImagesOption = "im",
    masks: MasksOption = "gt",
    foreground: ForegroundOption = None,
    resize_masks: ResizeOption = False,
    preview: Annotated[bool, typer.Option("--preview", help="Draw a contact sheet of each set.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="List all that was found, not five of each kind.")] = False,
) -> None:
    """Read every image and mask of a data set, and list what is wrong with them; exit code 1 if any is unusable."""
    from .data import open_folders

    if preview:
        _check_picture_path(sheet)
    elif sheet != Path("preview.png"):
        raise ValueError(f"{sheet} is where --preview would write, which was not asked for")
    training, validation = open_folders(
        data, val=val, images=images, masks=masks, foreground=foreground, resize_masks=resize_masks, strict=False
    )
    held = [path for part in (training, validation) if part is not None for _, *files in part.files for path in files]
    if preview and any(sheet.resolve() == path.resolve() for path in held):
        raise ValueError(f"{sheet} belongs to the data and would be overwritten; choose another place")
    unusable = False
    for name, dataset, other in (("training", training, validation), ("validation", validation, None)):
        if dataset is None:
            continue
        report = dataset.report(other=other, progress=True)
        unusable |= bool(report.errors)
        typer.echo(f"{name} set: {report.text(limit=None if everything else 5)}")
        if preview and len(report.unusable) == len(dataset):
            typer.echo("no contact sheet: none of the samples can be used")
        elif preview:
            from .visualize import data_sheet

            place = sheet if dataset is training else sheet.with_stem(f"{sheet.stem}_{name}")
            data_sheet(dataset, report).save(place)
            typer.echo(f"contact sheet: {place}")
    if unusable:
        raise typer.Exit(1)


@app.command()
def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="A new folder for the run.")],
    model: Annotated[
        str, typer.Option(help="A name from `dichoseg list models`.", rich_help_panel="Network")
    ] = "isnet",
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
        typer.Option(help="Weights to start from: .pth, .safetensors, or a run.", rich_help_panel="Network"),
    ] = None,
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
    _show_training_log()
    import functools

    import torch

    from .augmentations import cpu_augmentation as make_cpu_augmentation
    from .data import open_folders
    from .losses import IntermediateSupervision, WeightedSum
    from .models import load_model
    from .training import fit, fit_gt_encoder
    from .training.gt_encoder import gt_encoder_folder
    from .training.loop import choose_device
    from .training.run_folder import RunFolder

    # what can be refused is refused before the data is read
    RunFolder(out)
    parts = _loss_parts(loss or ["bce"])
    device_augmentation = _augmentation(augmentation or [])
    network = _network(model, encoder, decoder, pretrained=pretrained, weights=weights, size=size, seed=seed)
    transform = None
    if cpu_augmentation is not None and overfit_batches is None:
        transform = make_cpu_augmentation(cpu_augmentation, size=network.preprocessing.size or 1024)
    if gt_encoder == "train":
        gt_encoder_folder(out)
    elif gt_encoder is not None:
        parts["gt_encoder"] = (gt_encoder_weight, IntermediateSupervision(load_model(gt_encoder), student=network))
    target = choose_device(device, torch.device("cpu"))
    torch.empty(0, device=target)  # a device that is not there is refused here
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
    training.transform = transform
    held_out = "none (--val-fraction 0.1 holds some back)" if validation is None else len(validation)
    typer.echo(f"{model}: {len(training)} images to train on, {held_out} to validate on", err=True)
    shared: dict[str, Any] = {
        "val_data": validation,
        "augmentation": device_augmentation,
        "batch_size": batch_size,
        "device": device,
        "precision": precision,
        "workers": workers,
        "seed": seed,
        "out": out,
    }
    if gt_encoder == "train":
        supervisor = fit_gt_encoder(network, training, epochs=gt_encoder_epochs, **shared)
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
    typer.echo(f"loss {history[0]['loss']:.4f} -> {history[-1]['loss']:.4f}; model in {out}")
    if validation is not None and overfit_batches is None:
        _score_run(out, history, validation, target)


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


@app.command()
def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(metavar="PREDICTIONS... MASKS", help="Folders of predictions, and last the masks'.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores.json, per_image.csv, curves.png and extremes.jpg.")
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option(help="Names, or the groups fast, paper and all; repeatable. Default: paper.")
    ] = None,
    protocol: Annotated[Literal["pysodmetrics", "dis"], typer.Option(help="How numbers are taken.")] = "pysodmetrics",
    normalize: Annotated[bool, typer.Option(help="Stretch each prediction to [0, 1] first, as papers do.")] = True,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Score what has both a prediction and a mask.")
    ] = False,
    skeletons: Annotated[
        Path | None, typer.Option(help="Folder that keeps the masks' skeletons. Default: the user's cache.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes. Default: one for each core.")] = None,
) -> None:
    """Score folders of predictions against a folder of masks, side by side, as papers print them."""
    import os

    if len(folders) < 2:
        raise ValueError(f"wanted one folder of predictions or more, then the masks'; got {folders[0]} alone")
    from .evaluation import compare_folders
    from .evaluation.skeletons import default_cache

    *predictions, masks = folders
    names = [folder.name for folder in predictions]
    called = {folder.name if names.count(folder.name) == 1 else str(folder): folder for folder in predictions}
    comparison = compare_folders(
        called,
        masks,
        metrics=metrics or ["paper"],
        protocol=protocol,
        normalize=normalize,
        allow_missing=allow_missing,
        skeletons=skeletons or default_cache(),
        workers=(os.cpu_count() or 1) if workers is None else workers,
        progress=True,
    )
    typer.echo(comparison.text())
    if out is not None:
        comparison.write(out)
        typer.echo(f"written to {out}")


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


def _check_picture_path(path: Path) -> None:
    """Refuse a place where no picture can be written."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"a contact sheet is a .png, .jpg or .webp file; got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} to")


def _network(
    model: str,
    encoder: str | None,
    decoder: str | None,
    *,
    pretrained: bool,
    weights: Path | None,
    size: int | None,
    seed: int,
) -> Model:
    import dataclasses

    from .models import create_model
    from .training.loading import seeded

    recipe: dict[str, Any] = {
        key: value for key, value in (("encoder", encoder), ("decoder", decoder)) if value is not None
    }
    if pretrained:
        recipe["encoder_args"] = {"pretrained": True}
    with seeded(seed):
        network = create_model(model, weights=weights, **recipe)
    if size is not None:
        network.preprocessing = dataclasses.replace(network.preprocessing, size=size)
    return network


def _loss_parts(losses: list[str]) -> dict[str, tuple[float, Objective]]:
    """The parts of a `WeightedSum`, from NAME[:WEIGHT] each."""
    from .losses import BCELoss, DeepSupervision

    parts: dict[str, tuple[float, Objective]] = {}
    all_second_terms = True
    for text in losses:
        parsed = registry.ComponentName.parse(text)
        try:
            weight = float(parsed.argument or 1)
        except ValueError:
            raise ValueError(f"a loss is NAME or NAME:WEIGHT, the weight a number; got {text!r}") from None
        if not 0 < weight < float("inf"):
            raise ValueError(f"the weight of a loss must be a finite number above 0; got {text!r}")
        if parsed.name in parts:
            raise ValueError(f"loss {parsed.name!r} is given twice")
        make = registry.load_component("losses", text.partition(":")[0])
        second_term = getattr(make, "second_term", False)
        all_second_terms &= second_term
        parts[parsed.name] = (weight, DeepSupervision(make(), side_weight=0.0 if second_term else 1.0))
    if all_second_terms:
        typer.echo(f"{' and '.join(parts)} would leave the inside of the object unsupervised: bce is added", err=True)
        parts = {"bce": (1.0, DeepSupervision(BCELoss())), **parts}
    return parts


def _augmentation(names: list[str]) -> Augmentation | None:
    steps = [registry.load_component("augmentations", name)() for name in names]
    if len(steps) < 2:
        return steps[0] if steps else None
    from .augmentations import Compose

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


def _score_run(run: Path, history: list[Row], validation: FolderDataset, device: torch.device) -> None:
    """Score the last and the best model of a run as papers do, at the masks' own size."""
    from .inference import evaluate
    from .models import load_model
    from .models.weights.writing import write_json

    scores = {"last": evaluate(load_model(run / "last").to(device), validation, progress=True)}
    best_is_last = all(row["quick_max_f"] < history[-1]["quick_max_f"] for row in history[:-1])
    scores["best"] = (
        scores["last"] if best_is_last else evaluate(load_model(run / "best").to(device), validation, progress=True)
    )
    write_json(run / "scores.json", scores)
    typer.echo("".join(f"{name:>12}" for name in ["validation", *scores["last"]]))
    for name, row in scores.items():
        typer.echo(f"{name:>12}" + "".join(f"{value:12.3f}" for value in row.values()))


def _show_training_log() -> None:
    import logging

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("dichoseg").setLevel(logging.INFO)
