"""`dichoseg predict` and `dichoseg evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def predict(
    model: Annotated[
        str, typer.Argument(help="A saved model, a run's folder, a hub id, or a file of published weights.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Photographs, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    cutout: Annotated[bool, typer.Option(help="Write photographs with the mask as their alpha instead.")] = False,
    device: Annotated[str | None, typer.Option(help="Such as cuda or cpu.")] = None,
) -> None:
    """Write the mask of each photograph as a PNG of its size."""
    from ..inference import Predictor, predict_files
    from ..models import load_model

    predictor = Predictor(load_model(model), device=device)
    failures = predict_files(predictor, images, out, cutout=cutout)
    for failure in failures:
        typer.echo(f"error: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


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
    from ..evaluation import compare_folders
    from ..evaluation.skeletons import default_cache

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
