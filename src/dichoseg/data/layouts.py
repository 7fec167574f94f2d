"""Training and validation set from one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..contracts import Samples
from .finding import find_folders
from .folder import FolderDataset
from .mask_files import Value


def open_data(
    train_data: Samples | str | Path, val_data: Samples | str | Path | None
) -> tuple[Samples, Samples | None]:
    """Open data that is given as a folder, like `open_folders`; return data sets unchanged.

    Args:
        train_data: Data set, or folder of the data.
        val_data: Data set, or its folder. None is the validation set in the folder `train_data`, if there is one.
    """
    if isinstance(train_data, str | Path):
        if val_data is None or isinstance(val_data, str | Path):
            return open_folders(train_data, val=val_data)
        return open_folders(train_data, val=False)[0], val_data
    if isinstance(val_data, str | Path):
        return train_data, open_folders(val_data, val=False)[0]
    return train_data, val_data


def samples_of(data: Samples | str | Path) -> Samples:
    """Return the data set to score: of a folder, the validation set, if it has one."""
    training, validation = open_data(data, None)
    return training if validation is None else validation


def open_folders(
    root: str | Path,
    *,
    val: str | Path | Literal[False] | None = None,
    val_fraction: float | None = None,
    seed: int = 0,
    images: str = "im",
    masks: str = "gt",
    mask_suffix: str = "",
    foreground: Sequence[Value] | None = None,
    ignore: Sequence[Value] = (),
    resize_masks: bool = False,
    strict: bool = True,
) -> tuple[FolderDataset, FolderDataset | None]:
    """Open the training set below a folder, and the validation set, if any.

    `train, val = open_folders("data", val_fraction=0.1)`

    Args:
        root: Folder of the data, in a layout that `find_folders` knows.
        val: Folder of the validation set. Default: `root/val` or DIS5K's `root/DIS-VD`, if it exists; False opens none.
        val_fraction: Fraction of the training set to split off as the validation set, instead of opening one.
        seed: Random seed of that split.
        images: Name of the folder of images.
        masks: Name of the folder of masks, or `"alpha"` for cut-outs.
        mask_suffix: Suffix of the masks' names, as in `FolderDataset`.
        foreground: Label ids or colors that are foreground, as in `FolderDataset`.
        ignore: Label ids or colors of ignored pixels, as in `FolderDataset`.
        resize_masks: Whether to resize masks whose size differs from their image's.
        strict: Whether unpaired files are an error.
    """
    if val and val_fraction is not None:
        raise ValueError("val and val_fraction exclude each other; give one of them")

    def opened(folder: str | Path, part: str) -> FolderDataset:
        return FolderDataset(
            *find_folders(folder, part=part, images=images, masks=masks),
            mask_suffix=mask_suffix,
            foreground=foreground,
            ignore=ignore,
            resize_masks=resize_masks,
            strict=strict,
        )

    training = opened(root, "train")
    if val_fraction is not None:
        return training.split(val_fraction, seed=seed)
    if val:
        validation = opened(val, "train")
    elif val is None and _has_validation_set(root):
        validation = opened(root, "val")
    else:
        return training, None
    shared = {path.resolve() for _, path, _ in training.files} & {path.resolve() for _, path, _ in validation.files}
    if shared:
        raise ValueError(
            f"{len(shared)} images are in both the training and the validation set, such as {min(shared)}; move the "
            "training set into a folder next to val, such as train"
        )
    return training, validation


def folders_to_score(root: str | Path) -> tuple[Path, Path]:
    """Return the folders of images and masks of the validation set below a folder, or its own if it has none."""
    images, masks = find_folders(root, part="val" if _has_validation_set(root) else "train")
    return images, Path(masks)


def _has_validation_set(root: str | Path) -> bool:
    return any((Path(root) / part).is_dir() for part in ("val", "DIS-VD"))
