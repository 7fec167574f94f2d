"""A training and a validation set from one folder, as `dichoseg train` and `dichoseg check` find them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from .folder import FolderDataset, find_folders


def open_folders(
    root: str | Path,
    *,
    val: str | Path | Literal[False] | None = None,
    val_fraction: float | None = None,
    seed: int = 0,
    images: str = "im",
    masks: str = "gt",
    mask_suffix: str = "",
    foreground: Sequence[int] | None = None,
    resize_masks: bool = False,
    strict: bool = True,
) -> tuple[FolderDataset, FolderDataset | None]:
    """Open the training set below a folder, and the validation set where there is one.

    `train, val = open_folders("data", val_fraction=0.1)`

    Args:
        root: The data: see `find_folders` for the layouts.
        val: A folder with the validation set. Default: `root/val` or DIS5K's `root/DIS-VD`, if there; False opens none.
        val_fraction: Share of the training set to validate on in place of any other.
        seed: Of that split.
        images: Name of the images' folder.
        masks: Name of the masks' folder, or `"alpha"` for cut-outs.
        mask_suffix: As for `FolderDataset`; so are the other three.
        foreground: Label ids that are foreground.
        resize_masks: Whether masks of another size are resized.
        strict: Whether files without a partner are an error.

    Raises:
        ValueError: Both `val` and `val_fraction`, a validation set that lies within the training set, or what
            `FolderDataset` and `split` refuse.
        FileNotFoundError: No such layout.
    """
    if val and val_fraction is not None:
        raise ValueError("val and val_fraction exclude each other; give one of them")

    def opened(folder: str | Path, part: str) -> FolderDataset:
        return FolderDataset(
            *find_folders(folder, part=part, images=images, masks=masks),
            mask_suffix=mask_suffix,
            foreground=foreground,
            resize_masks=resize_masks,
            strict=strict,
        )

    training = opened(root, "train")
    if val_fraction is not None:
        return training.split(val_fraction, seed=seed)
    if val:
        validation = opened(val, "train")
    elif val is None and any((Path(root) / part).is_dir() for part in ("val", "DIS-VD")):
        validation = opened(root, "val")
    else:
        return training, None
    shared = {path.resolve() for _, path, _ in training.files} & {path.resolve() for _, path, _ in validation.files}
    if shared:
        raise ValueError(
            f"{len(shared)} images are in the training and in the validation set, such as {min(shared)}; put the "
            "training set into a folder of its own, train beside val"
        )
    return training, validation
