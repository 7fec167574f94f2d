"""`dichoseg check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DataArgument, ForegroundOption, ImagesOption, MasksOption, ResizeOption, ValOption


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
    from ..data import open_folders

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
            from ..visualize import data_sheet

            place = sheet if dataset is training else sheet.with_stem(f"{sheet.stem}_{name}")
            data_sheet(dataset, report).save(place)
            typer.echo(f"contact sheet: {place}")
    if unusable:
        raise typer.Exit(1)


def _check_picture_path(path: Path) -> None:
    """Refuse a place where no picture can be written."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"a contact sheet is a .png, .jpg or .webp file; got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} to")
