"""Options that say where images and masks are."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import Flag, Fraction, OptionalPath, Paths, Values, tell

if TYPE_CHECKING:
    from ..data import FolderDataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Folders of images and masks.

    Args:
        val: Folder with the validation set. Default: DATA/val or DATA/DIS-VD, if there.
        images: Name of the folder of images.
        masks: Name of the folder of masks, or alpha if the images are cut-outs.
        mask_suffix: Suffix of the masks' names, such as _mask if 1_mask.png is the mask of 1.jpg.
        foreground: Label id or color that is foreground, such as 1 or red, if masks hold ids or colors; repeatable.
        ignore: Label id or color of ignored pixels, such as 255 in masks of ids, or 128 in trimaps; repeatable.
        resize_masks: Resize masks of another size to their image's.
    """

    val: OptionalPath = None
    images: str = "im"
    masks: str = "gt"
    mask_suffix: str = ""
    foreground: Values = ()
    ignore: Values = ()
    resize_masks: Flag = False

    def open(self, folder: Path) -> tuple[FolderDataset, FolderDataset | None]:
        """Open the training and the validation set; files without a partner are left to a later check."""
        return _open(self, folder, val=self.val, strict=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingData(Data):
    """Folders of images and masks.

    Args:
        val_fraction: Fraction of the training set to validate on, in place of --val, such as 0.1.
        more: Folder of additional training pairs, laid out like DATA; they replace pairs of the same name. Repeatable.
            With --from, they are added to the data of that run.
        skip_broken: Skip files that cannot be used, and list them.
        check: Check all of the data before training.
    """

    val_fraction: Fraction = None
    more: Paths = ()
    skip_broken: Flag = False
    check: bool = True

    def load(self, folder: Path, *, seed: int, progress: bool = True) -> tuple[FolderDataset, FolderDataset | None]:
        """Open the training and the validation set, read both, and leave out what cannot be used, if asked."""
        if self.val is not None and self.val_fraction is not None:
            raise ValueError("--val and --val-fraction exclude each other")
        if self.val_fraction is not None and not 0 < self.val_fraction < 1:
            raise ValueError(f"--val-fraction must be between 0 and 1; got {self.val_fraction}")
        val = self.val if self.val_fraction is None else False
        training, validation = _open(self, folder, val=val, strict=not (self.check or self.skip_broken))
        if self.check:
            how = {"skip_broken": self.skip_broken, "progress": progress}
            training = _usable("training", training, validation, **how)
            validation = validation and _usable("validation", validation, None, **how)
        if self.val_fraction is not None:  # of the usable samples
            training, validation = training.split(self.val_fraction, seed=seed)
        for more in self.more:
            training = self._joined(training, more, validation, progress=progress)
        return training, validation

    def _joined(
        self, training: FolderDataset, folder: Path, validation: FolderDataset | None, *, progress: bool
    ) -> FolderDataset:
        """Return the training set with the pairs of a folder, none of which may show a validation image."""
        more, _ = _open(self, folder, val=False, strict=False)
        more = _usable(str(folder), more, validation, skip_broken=self.skip_broken, progress=progress, disjoint=True)
        names = {name for name, *_ in more.files}
        replaced = sum(name in names for name, *_ in training.files)
        tell(f"{folder}: {replaced} pairs replace those of the same name, {len(more) - replaced} are added")
        if same := sorted(names & {name for name, *_ in validation.files} if validation else ()):
            tell(
                f"{folder}: make sure that {', '.join(same)} show other objects than the validation images of that name"
            )
        return training.with_pairs(more)


def _open(data: Data, folder: Path, **options: Any) -> tuple[FolderDataset, FolderDataset | None]:
    from ..data import open_folders

    return open_folders(
        folder,
        images=data.images,
        masks=data.masks,
        mask_suffix=data.mask_suffix,
        foreground=data.foreground or None,
        ignore=data.ignore,
        resize_masks=data.resize_masks,
        **options,
    )


def _usable(
    name: str,
    dataset: FolderDataset,
    other: FolderDataset | None,
    *,
    skip_broken: bool,
    progress: bool,
    disjoint: bool = False,
) -> FolderDataset:
    """Print the problems of a data set; return its usable part if asked, else raise; raise on overlap if `disjoint`."""
    from ..training.ranks import launched

    report = dataset.report(other=other, progress=progress and launched().is_first)
    shared = [problem.message for problem in report.problems if problem.kind == "in both sets"]
    if disjoint and shared:
        raise ValueError(f"{len(shared)} images of {name} are validation images: {'; '.join(shared)}; leave them out")
    if report.problems:
        tell(f"{name} set: {report.text()}")
    if not report.errors:
        return dataset
    if not skip_broken:
        raise ValueError(
            f"{len(report.errors)} files or pairs of the {name} set cannot be used, as listed above; fix them, or "
            "leave them out with --skip-broken (dichoseg check --all lists everything)"
        )
    if len(report.unusable) == len(dataset):
        raise ValueError(f"nothing of the {name} set can be used, as listed above")
    remaining = dataset.without(report.unusable)
    names = ", ".join(sorted({error.name for error in report.errors}))
    tell(f"{name} set: {len(remaining)} pairs remain; left out, as listed above: {names}")
    return remaining
