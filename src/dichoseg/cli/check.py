"""`dichoseg check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .building import make_augmentation, make_transform
from .hints import with_options
from .options import (
    DataArgument,
    ForegroundOption,
    ImagesOption,
    MasksOption,
    MaskSuffixOption,
    ResizeOption,
    ValOption,
)


def check(
    context: typer.Context,
    data: DataArgument,
    sheet: Annotated[Path, typer.Argument(metavar="SHEET", help="The picture that --preview writes.")] = Path(
        "preview.png"
    ),
    val: ValOption = None,
    images: ImagesOption = "im",
    masks: MasksOption = "gt",
    mask_suffix: MaskSuffixOption = "",
    foreground: ForegroundOption = None,
    resize_masks: ResizeOption = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Draw a contact sheet of each set: images, masks, edge bands.")
    ] = False,
    augmentation: Annotated[
        list[str] | None,
        typer.Option(
            help="Show draws of it: a name from `dichoseg list augmentations`; repeatable, applied in this order.",
            rich_help_panel="Preview",
        ),
    ] = None,
    cpu_augmentation: Annotated[
        str | None,
        typer.Option(
            help="Show draws of a preset in the workers: dis_tuning, isnet or strong.", rich_help_panel="Preview"
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=1, help="Draws for each image of the training set.", rich_help_panel="Preview")
    ] = 3,
    size: Annotated[
        int, typer.Option(min=32, help="Side of the network's input, in pixels.", rich_help_panel="Preview")
    ] = 1024,
    rows: Annotated[int, typer.Option(min=1, help="Largest number of images.", rich_help_panel="Preview")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="List all that was found, not five of each kind.")] = False,
) -> None:
    """Read every image and mask of a data set, and list what is wrong with them; exit code 1 if any is unusable."""
    from ..data import open_folders

    _check_options(context, preview=preview, augmented=bool(augmentation or cpu_augmentation))
    if preview:
        _check_picture_path(sheet)
    elif sheet != Path("preview.png"):
        raise ValueError(f"{sheet} is where --preview would write, which was not asked for")
    # what can be refused is refused before the data is read
    on_device = make_augmentation(augmentation or [])
    in_workers = make_transform(cpu_augmentation, size)
    training, validation = open_folders(
        data,
        val=val,
        images=images,
        masks=masks,
        mask_suffix=mask_suffix,
        foreground=foreground,
        resize_masks=resize_masks,
        strict=False,
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
        typer.echo(with_options(f"{name} set: {report.text(limit=None if everything else 5)}"))
        if preview and len(report.unusable) == len(dataset):
            typer.echo("no contact sheet: none of the samples can be used")
        elif preview:
            from ..preprocessing import Preprocessing
            from ..visualize import data_sheet

            place = sheet
            if dataset is training:
                dataset.transform = in_workers
            else:
                place, on_device = sheet.with_stem(f"{sheet.stem}_{name}"), None
            preprocessing = Preprocessing(size=size)
            picture = data_sheet(
                dataset, report, rows=rows, preprocessing=preprocessing, augmentation=on_device, draws=draws
            )
            picture.save(place)
            typer.echo(f"contact sheet: {place}")
    if unusable:
        raise typer.Exit(1)


def _check_options(context: typer.Context, *, preview: bool, augmented: bool) -> None:
    """Refuse options that would do nothing."""
    for name in ("augmentation", "cpu_augmentation", "draws", "size", "rows"):
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        option = f"--{name.replace('_', '-')}"
        if not preview:
            raise ValueError(f"{option} is about the contact sheet of --preview, which was not asked for")
        if name == "draws" and not augmented:
            raise ValueError("--draws are of --augmentation or --cpu-augmentation; got neither")


def _check_picture_path(path: Path) -> None:
    """Refuse a place where no picture can be written."""
    from ..runtime.files import check_destination

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"a contact sheet is a .png, .jpg or .webp file; got {path}")
    check_destination(path)
