"""`dichoseg evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(metavar="PREDICTIONS... MASKS", help="Folders of predictions, and last the masks'.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores.json, per_image.csv, curves.png and extremes.jpg.")
    ] = None,
    mask_suffix: Annotated[
        str,
        typer.Option(help="What masks' names have behind their predictions', such as _mask.", show_default=False),
    ] = "",
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
    from ..evaluation import compare_folders
    from ..evaluation.skeletons import default_cache

    *predictions, masks = folders
    names = [folder.absolute().name for folder in predictions]  # that of `.` too
    called = {
        name if names.count(name) == 1 else str(folder): folder for name, folder in zip(names, predictions, strict=True)
    }
    if skeletons is not None:
        skeletons.mkdir(parents=True, exist_ok=True)
    comparison = compare_folders(
        called,
        masks,
        mask_suffix=mask_suffix,
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
