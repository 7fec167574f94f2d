"""The data of `dichoseg train`: opened, read over, and without what cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .options import tell

if TYPE_CHECKING:
    from ..data import FolderDataset


def open_training_data(
    data: Path,
    *,
    val: Path | None,
    val_fraction: float | None,
    images: str,
    masks: str,
    mask_suffix: str,
    foreground: list[int] | None,
    resize_masks: bool,
    skip_broken: bool,
    check: bool,
    seed: int,
) -> tuple[FolderDataset, FolderDataset | None]:
    """The training and the validation set; the arguments are the options, `check` that of --check."""
    from ..data import open_folders

    if val is not None and val_fraction is not None:
        raise ValueError("--val and --val-fraction exclude each other")
    training, validation = open_folders(
        data,
        val=False if val_fraction is not None else val,
        images=images,
        masks=masks,
        mask_suffix=mask_suffix,
        foreground=foreground,
        resize_masks=resize_masks,
        strict=not (check or skip_broken),
    )
    if check:
        training = _usable("training", training, validation, skip_broken=skip_broken)
        validation = validation and _usable("validation", validation, None, skip_broken=skip_broken)
    if val_fraction is not None:  # of what is usable
        training, validation = training.split(val_fraction, seed=seed)
    return training, validation


def _usable(name: str, dataset: FolderDataset, other: FolderDataset | None, *, skip_broken: bool) -> FolderDataset:
    """Show what is wrong with a data set; leave out what cannot be used where that was asked, else refuse it."""
    from ..training.processes import leads

    report = dataset.report(other=other, progress=leads())
    if report.problems:
        tell(f"{name} set: {report.text()}")
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
    tell(f"{name} set: {len(remaining)} pairs remain; left out, as listed above: {names}")
    return remaining
