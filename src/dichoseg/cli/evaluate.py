"""`dichoseg evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from .options import Flag, Number, OptionalPath, Repeatable, Values


def evaluate(
    folders: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="PREDICTIONS... MASKS", help_behavior_hint="(required)"),
    ],
    *,
    out: OptionalPath = None,
    mask_suffix: str = "",
    foreground: Values = (),
    ignore: Values = (),
    metrics: Repeatable = (),
    protocol: Literal["pysodmetrics", "dis"] = "pysodmetrics",
    normalize: bool = True,
    allow_missing: Flag = False,
    skeletons: OptionalPath = None,
    workers: Number = None,
) -> None:
    """Score folders of predictions against a folder of masks, side by side, as papers print them.

    Args:
        folders: Folders of predictions, and last the folder of masks.
        out: Folder for scores.json, per_image.csv, curves.png and extremes.jpg.
        mask_suffix: Suffix of the masks' names, such as _mask if 1_mask.png is the mask of 1.png.
        foreground: Label id or color that is foreground, such as 1 or red, if masks hold ids or colors; repeatable.
        ignore: Label id or color of pixels that count nowhere, such as 255 beside ids, or 128 in trimaps; repeatable.
        metrics: Name of a metric, or the group fast, paper or all; repeatable. Default: paper.
        protocol: Protocol of the numbers.
        normalize: Stretch each prediction to [0, 1] first, as papers do.
        allow_missing: Score the images that have both a prediction and a mask.
        skeletons: Folder that caches the masks' skeletons. Default: the user's cache.
        workers: Number of processes. Default: one per core.
    """
    import os

    if len(folders) < 2:
        raise ValueError(
            f"wanted one or more folders of predictions, then the folder of masks; got {len(folders)} folders"
        )
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
        foreground=foreground or None,
        ignore=ignore,
        metrics=metrics or ("paper",),
        protocol=protocol,
        normalize=normalize,
        allow_missing=allow_missing,
        skeletons=skeletons or default_cache(),
        workers=(os.cpu_count() or 1) if workers is None else workers,
        progress=True,
    )
    print(comparison.text())
    if out is not None:
        comparison.write(out)
        print(f"written to {out}")
