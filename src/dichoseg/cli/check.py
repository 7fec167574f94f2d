"""`dichoseg check`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from .building import AugmentationOptions
from .data_options import Data
from .hints import with_options
from .options import Flag

if TYPE_CHECKING:
    from ..data import DataReport, FolderDataset

SHEET = Path("preview.png")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preview(AugmentationOptions):
    """Contact sheet of --preview.

    Args:
        augmentation: Show random samples of this augmentation, from `dichoseg list augmentations`, such as
            'strong(jpeg=0.5)'; repeatable, in order.
        cpu_augmentation: Show random samples of a preset in the workers: dis_tuning, isnet or strong, or
            'strong(jpeg=0.5)'.
        draws: Number of random samples for each image of the training set.
        size: Side of the network's input, in pixels.
        rows: Maximum number of images.
    """

    draws: int = 3
    size: int = 1024
    rows: int = 10

    def save(self, dataset: FolderDataset, report: DataReport, path: Path, *, augmented: bool) -> None:
        """Draw a data set, and draws of the augmentation if asked."""
        from ..preprocessing import Preprocessing
        from ..visualize import data_sheet

        if augmented:
            dataset.transform = self.in_workers(self.size)
        augmentation = self.on_device() if augmented else None
        preprocessing = Preprocessing(size=self.size)
        data_sheet(
            dataset,
            report,
            rows=self.rows,
            preprocessing=preprocessing,
            augmentation=augmentation,
            draws=self.draws,
        ).save(path)
        print(f"contact sheet: {path}")


def check(
    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")],
    sheet: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="[SHEET]")] = SHEET,
    *,
    preview: Flag = False,
    all: Flag = False,
    folders: Data = Data(),
    contact_sheet: Preview = Preview(),
    quiet: Flag = False,
) -> None:
    """Read every image and mask of a data set, and list their problems.

    The exit code is 1 if any of them cannot be used.

    Args:
        data: Folder that holds im and gt, or the same below train or DIS-TR.
        sheet: Picture that --preview writes.
        preview: Draw a contact sheet of each set: images, masks, and the bands that edge losses use.
        all: List all problems, not only five of each kind.
        folders: Folders of images and masks.
        contact_sheet: Contact sheet of --preview.
        quiet: Show no messages except errors; the requested output is still printed.
    """
    _check_options(contact_sheet, sheet, preview=preview)
    # check the options before the data is read, which takes long
    contact_sheet.on_device()
    contact_sheet.in_workers(contact_sheet.size)
    training, validation = folders.open(data)
    held = [path for part in (training, validation) if part is not None for _, *files in part.files for path in files]
    if preview and any(sheet.resolve() == path.resolve() for path in held):
        raise ValueError(f"{sheet} belongs to the data and would be overwritten; choose another place")
    unusable = False
    for name, dataset, other in (("training", training, validation), ("validation", validation, None)):
        if dataset is None:
            continue
        report = dataset.report(other=other, progress=not quiet)
        unusable |= bool(report.errors)
        print(with_options(f"{name} set: {report.text(limit=None if all else 5)}"))
        if preview and len(report.unusable) == len(dataset):
            print("no contact sheet: none of the samples can be used")
        elif preview:
            path = sheet if dataset is training else sheet.with_stem(f"{sheet.stem}_{name}")
            contact_sheet.save(dataset, report, path, augmented=dataset is training)
    if unusable:
        raise SystemExit(1)


def _check_options(contact_sheet: Preview, sheet: Path, *, preview: bool) -> None:
    """Refuse options that would do nothing."""
    for field in dataclasses.fields(contact_sheet):
        if not preview and getattr(contact_sheet, field.name) != field.default:
            raise ValueError(
                f"--{field.name.replace('_', '-')} is about the contact sheet of --preview, which was not asked for"
            )
    if contact_sheet.draws != 3 and not (contact_sheet.augmentation or contact_sheet.cpu_augmentation):
        raise ValueError("--draws needs --augmentation or --cpu-augmentation; got neither")
    if preview:
        _check_picture_path(sheet)
    elif sheet != SHEET:
        raise ValueError(f"{sheet} is where --preview would write, which was not asked for")


def _check_picture_path(path: Path) -> None:
    """Raise an error if no picture can be written to a path."""
    from ..runtime.files import check_destination

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ValueError(f"a contact sheet is a .png, .jpg or .webp file; got {path}")
    check_destination(path)
