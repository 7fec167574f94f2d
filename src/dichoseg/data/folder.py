"""Images and masks in two folders."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch.utils.data import Dataset

from ..contracts import Sample
from .reading import read_image, read_mask

Transform = Callable[..., dict[str, NDArray[np.uint8]]]


class FolderDataset(Dataset[Sample]):
    """Images and their masks from two folders, paired by path without extension, subfolders included.

    Every image needs a mask and every mask an image. Files are read when they are asked for. Images come as RGB
    with their EXIF orientation applied; see `read_image` and `read_mask` for what is understood.

    Args:
        images: Folder of images, in any format that Pillow reads.
        masks: Folder of masks.
        transform: Called as `transform(image=..., mask=...)` with HWC and HW uint8 arrays, and returns a dict of
            both, as albumentations' `Compose` does. Runs in the workers of `fit`.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: An empty folder, an image without mask or a mask without image, or two files for one key.
    """

    def __init__(self, images: str | Path, masks: str | Path, *, transform: Transform | None = None) -> None:
        self.transform = transform
        image_files, mask_files = _by_key(Path(images)), _by_key(Path(masks))
        for files, others, missing in ((image_files, mask_files, "mask"), (mask_files, image_files, "image")):
            orphans = sorted(set(files) - set(others))
            if orphans:
                folder = masks if missing == "mask" else images
                raise ValueError(
                    f"{files[orphans[0]]} has no {missing} in {folder}"
                    + (f", nor have {len(orphans) - 1} more files" if len(orphans) > 1 else "")
                )
        self.files = [(key, image_files[key], mask_files[key]) for key in sorted(image_files)]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Read one pair; a ValueError names a file that cannot be read or whose size differs from its image's."""
        name, image_path, mask_path = self.files[index]
        image, mask = read_image(image_path), read_mask(mask_path)
        if image.shape[-2:] != mask.shape[-2:]:
            raise ValueError(
                f"{mask_path} is {mask.shape[-1]}x{mask.shape[-2]} pixels but its image {image_path} "
                f"{image.shape[-1]}x{image.shape[-2]}"
            )
        if self.transform is not None:
            pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
            result = self.transform(image=pixels, mask=(mask[0] * 255).round().byte().numpy())
            image = torch.from_numpy(result["image"]).permute(2, 0, 1).float() / 255
            mask = torch.from_numpy(result["mask"])[None].float() / 255
        return Sample(image, mask, name)

    def split(self, fraction: float, *, seed: int = 0) -> tuple[Self, Self]:
        """Split at random into a training and a validation set.

        Args:
            fraction: Share of the validation set, above 0 and below 1; both sets get at least one pair.
            seed: The same seed splits the same way.
        """
        if not 0 < fraction < 1 or len(self) < 2:
            raise ValueError(f"a split needs a fraction between 0 and 1 and two pairs; got {fraction} and {len(self)}")
        order = np.random.default_rng(seed).permutation(len(self)).tolist()
        held_out = set(order[: min(max(round(fraction * len(self)), 1), len(self) - 1)])
        training, validation = copy.copy(self), copy.copy(self)
        training.files = [files for index, files in enumerate(self.files) if index not in held_out]
        validation.files = [files for index, files in enumerate(self.files) if index in held_out]
        return training, validation


def find_folders(root: str | Path, *, part: str = "train") -> tuple[Path, Path]:
    """Find the images and the masks of a data set in one of the usual layouts.

    `ROOT/im` and `ROOT/gt`, the same below `ROOT/train` (or another part), or below DIS5K's `ROOT/DIS-TR` and
    `ROOT/DIS-VD`.

    Raises:
        FileNotFoundError: None of them is there.
    """
    root = Path(root)
    own_names = {"train": (root / "train", root / "DIS-TR", root), "val": (root / "val", root / "DIS-VD")}
    candidates = own_names.get(part, (root / part,))
    for folder in candidates:
        if (folder / "im").is_dir() and (folder / "gt").is_dir():
            return folder / "im", folder / "gt"
    wanted = " or ".join(f"{folder}/{{im,gt}}" for folder in candidates)
    raise FileNotFoundError(f"no images and masks in {root}: wanted {wanted}")


def image_files(root: Path) -> list[Path]:
    """Every file below a folder that Pillow has a reader for, by its extension, sorted."""
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    known = {ending for ending, kind in PillowImage.registered_extensions().items() if kind in PillowImage.OPEN}
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in known and path.is_file() and not path.name.startswith(".")
    )


def _by_key(root: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in image_files(root):
        key = path.relative_to(root).with_suffix("").as_posix()
        if key in files:
            raise ValueError(f"two files for one key: {files[key]} and {path}")
        files[key] = path
    if not files:
        raise ValueError(f"no images in {root}")
    return files
