"""Data set of images and masks in two folders."""

from __future__ import annotations

import copy
import logging
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..contracts import Sample
from ..masks import all_count
from .decoding import choose_picture, eight_bits, image_pixels, open_image, open_reduced, opened, to_unit, upright_size
from .examining import examine, size_mismatch
from .finding import ALPHA, find_folders
from .mask_files import Value, alpha_pixels, check_values, read_mask_pixels
from .pairing import find_cutouts, find_pairs
from .report import DataReport

logger = logging.getLogger(__name__)

Transform = Callable[..., dict[str, NDArray[np.uint8]]]


class FolderDataset(Dataset[Sample]):
    """Images and their masks from two folders, paired by path without extension, subfolders included.

    Files are read on access; `report` reads all of them and lists their problems. Images are RGB with their EXIF
    orientation applied; `read_image` and `read_mask` document the supported files.

    Args:
        images: Folder of images, in any format that Pillow reads.
        masks: Folder of masks, or `"alpha"` if the images are cut-outs, whose alpha channels are the masks. (A folder
            of that name is `Path("alpha")`.)
        transform: Function called as `transform(image=..., mask=...)` with (H, W, 3) and (H, W) uint8 arrays; returns a
            dict of both, as albumentations' `Compose` does. It runs in the workers of `fit`. With `ignore`, the mask is
            (H, W, 2), whose second channel is 255 where pixels are ignored.
        mask_suffix: Suffix that the masks' names add to those of their images, such as `"_mask"` if `1_mask.png` is the
            mask of `1.jpg`. Other files are then not masks, so both may be in one folder, given twice.
        foreground: For masks of label ids or of colors: the ids or colors that are foreground, as in `read_mask`.
        ignore: Ids or colors of the pixels of a mask that are ignored, such as 255 in masks of label ids, or 128 in
            trimaps: the samples have a `weight`. The rest of the mask is read as if they were background.
        resize_masks: Whether to resize a mask of another size to its image's: bilinear, antialiased when it shrinks, so
            that edges become soft. Otherwise such a mask is an error.
        strict: Whether an image without mask, a mask without image and two files for one key are errors. Otherwise they
            are left out, a logged warning counts them, and `left_out` and `report` list them.

    Raises:
        FileNotFoundError: A folder does not exist.
        ValueError: A folder is empty or holds no pair, files are unpaired and `strict` is set, or both folders are the
            same and `mask_suffix` is missing.
    """

    def __init__(
        self,
        images: str | Path,
        masks: str | Path = "",
        *,
        transform: Transform | None = None,
        mask_suffix: str = "",
        foreground: Sequence[Value] | None = None,
        ignore: Sequence[Value] = (),
        resize_masks: bool = False,
        strict: bool = True,
    ) -> None:
        if masks == "":
            raise TypeError(f"FolderDataset needs a folder of masks as well as {images}{_layout_hint(images)}")
        self.cutouts = masks == ALPHA
        if self.cutouts and (mask_suffix or foreground is not None or ignore):
            raise ValueError(
                "mask_suffix, foreground and ignore are for files of masks; "
                f"got masks='alpha' with mask_suffix={mask_suffix!r}, foreground={foreground}, ignore={ignore}"
            )
        if foreground is not None and len(foreground) == 0:
            raise ValueError(f"foreground needs at least one label id or color; got {foreground!r}")
        self.transform = transform
        self.foreground = None if foreground is None else check_values("foreground", foreground)
        self.ignore = check_values("ignore", ignore)
        self.resize_masks = resize_masks
        pairs = find_cutouts(Path(images)) if self.cutouts else find_pairs(Path(images), Path(masks), mask_suffix)
        self.files, self.left_out, self.ignored = pairs
        if self.left_out and strict:
            more = f" (and {len(self.left_out) - 1} more problems)" if len(self.left_out) > 1 else ""
            raise ValueError(f"{self.left_out[0].message}{more}; report() lists all, strict=False leaves them out")
        if self.left_out:
            counts = Counter(problem.kind for problem in self.left_out)
            listed = ", ".join(f"{kind} ({count})" for kind, count in counts.items())
            logger.warning(
                "%d pairs in %s and %s; left out: %s; report() lists them", len(self.files), images, masks, listed
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pairs, {self.files[0][0]} to {self.files[-1][0]})"

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Read one pair; raise a ValueError that names the file if it is unreadable or the sizes differ."""
        return self.load(index)

    def load(self, index: int, *, at_least: int | None = None) -> Sample:
        """Read one pair, decoding JPEGs at reduced size when the caller will downscale.

        The factor is 1/2, 1/4 or 1/8, and divides both sides. The mask keeps its native size.

        Args:
            index: Index of the pair.
            at_least: Number of pixels that the image's shorter side must keep. None keeps the native size, as does a
                data set with a transform.
        """
        sample = self.load_pixels(index, at_least=at_least)
        weight = None if sample.weight is None else sample.weight.float()
        return Sample(to_unit(sample.image), to_unit(sample.mask), sample.name, weight)

    def load_pixels(self, index: int, *, at_least: int | None = None) -> Sample:
        """Read one pair as `load` does, but keep pixels of 8 bits as uint8; deeper ones are float32 in [0, 1]."""
        name, image_path, mask_path = self.files[index]
        if at_least is None or self.transform is not None:
            picture = open_image(image_path)
            size = picture.size
        else:
            picture, size = open_reduced(image_path, at_least=at_least)
        if self.cutouts:
            mask, weight = alpha_pixels(picture, image_path), None
        else:
            mask, weight = read_mask_pixels(mask_path, foreground=self.foreground, ignore=self.ignore)
        if _size(mask) != size:
            message = size_mismatch(mask_path, _size(mask), image_path, size)
            if _size(mask) == size[::-1]:
                raise ValueError(f"{message}; one of them is turned, as by an EXIF orientation that only one has")
            if not self.resize_masks:
                raise ValueError(f"{message}; resize_masks=True resizes such masks")
            mask = _resized(to_unit(mask), size[::-1])
            weight = None if weight is None else all_count(_resized(1 - weight.float(), size[::-1]))
        if self.transform is None:
            return Sample(image_pixels(picture), mask, name, weight)
        if weight is None:
            return Sample(*_transformed(self.transform, eight_bits(picture), mask, name), name)
        levels = torch.cat([_levels(mask), (1 - weight) * 255])
        image, both = _transformed(self.transform, eight_bits(picture), levels, name)
        return Sample(image, both[:1], name, all_count(to_unit(both[1:])))

    def image_size(self, index: int) -> tuple[int, int]:
        """Return height and width of an image from its file's header, with its EXIF orientation applied."""
        with opened(self.files[index][1]) as image:
            choose_picture(image)
            width, height = upright_size(image)
        return height, width

    def report(self, *, other: FolderDataset | None = None, progress: bool = False) -> DataReport:
        """Read every file once, and list all problems; unreadable files do not raise.

        Args:
            other: Another data set, such as the validation set; images that are in both are listed, whatever their
                names and metadata. Re-encoded images are not found.
            progress: Whether to show the progress: a bar on a terminal or in a notebook, else a line from time to time.
        """
        return examine(self, other=other, progress=progress)

    def without(self, names: Collection[str]) -> Self:
        """Return the data set without some samples, such as `report().unusable`.

        Args:
            names: Names of samples: paths relative to the folder, without extension.
        """
        leaving = frozenset(names)
        unknown = sorted(leaving - {name for name, _, _ in self.files})
        if unknown:
            raise ValueError(f"no sample is named {unknown[0]!r}; wanted names such as {self.files[0][0]!r}")
        remaining = [files for files in self.files if files[0] not in leaving]
        if not remaining:
            raise ValueError(f"no sample remains without these {len(self)}")
        return self._with(remaining)

    def with_pairs(self, other: FolderDataset) -> Self:
        """Return the data set with the pairs of another one, which replace those of the same names.

        Args:
            other: Data set with the same options, such as corrected masks with their images.
        """
        for option in ("cutouts", "foreground", "ignore", "resize_masks"):
            own, others = getattr(self, option), getattr(other, option)
            if own != others:
                raise ValueError(f"data sets can be joined if {option} is the same; got {own} and {others}")
        files = {pair[0]: pair for pair in (*self.files, *other.files)}
        return self._with([files[name] for name in sorted(files)])

    def split(self, fraction: float, *, seed: int = 0) -> tuple[Self, Self]:
        """Split at random into a training and a validation set.

        The training set keeps the transform. The validation set is not augmented: of a pipeline of albumentations, it
        keeps the resizing only; of any other function, nothing (set `validation.transform` if it must resize).

        Args:
            fraction: Fraction of pairs in the validation set, above 0 and below 1; both sets get at least one pair.
            seed: Random seed of the split.
        """
        if not 0 < fraction < 1 or len(self) < 2:
            raise ValueError(f"a split needs a fraction between 0 and 1 and two pairs; got {fraction} and {len(self)}")
        order = np.random.default_rng(seed).permutation(len(self)).tolist()
        held_out = set(order[: min(max(round(fraction * len(self)), 1), len(self) - 1)])
        training = [files for index, files in enumerate(self.files) if index not in held_out]
        validation = self._with([self.files[index] for index in sorted(held_out)])
        validation.transform = _resizing(self.transform)
        validation.left_out = validation.ignored = ()  # the training set reports them
        return self._with(training), validation

    def _with(self, files: list[tuple[str, Path, Path]]) -> Self:
        part = copy.copy(self)
        part.files = files
        return part


def _layout_hint(root: str | Path) -> str:
    """Suggest how to open a folder that holds the folders of images and masks."""
    try:
        find_folders(root)
    except FileNotFoundError:
        return ""
    return f"; wanted FolderDataset(*find_folders({str(root)!r})), or open_folders for the validation set too"


def _resized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    resized = F.interpolate(mask[None], size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized[0].clamp(0, 1)


def _resizing(transform: Transform | None) -> Transform | None:
    """Return the part of a transform that resizes, if it can be told apart."""
    if transform is None or "albumentations" not in sys.modules:
        return None
    from ..augmentations.cpu_transforms import resizing_of

    return resizing_of(transform)


def _transformed(transform: Transform, image: NDArray[np.uint8], mask: Tensor, name: str) -> tuple[Tensor, Tensor]:
    levels = _levels(mask)
    result = transform(image=image, mask=levels[0].numpy() if len(levels) == 1 else levels.permute(1, 2, 0).numpy())
    for kind in ("image", "mask"):
        if result[kind].dtype != np.uint8:
            raise ValueError(
                f"{name}: the transform must return uint8, which the model's preprocessing scales and normalizes; "
                f"got {result[kind].dtype} for the {kind}"
            )
    if result["image"].shape[:2] != result["mask"].shape[:2]:
        raise ValueError(
            f"{name}: the transform must return an image and a mask of one height and width; "
            f"got {result['image'].shape} and {result['mask'].shape}"
        )
    new_image, new_mask = (torch.from_numpy(np.ascontiguousarray(result[kind])) for kind in ("image", "mask"))
    return new_image.permute(2, 0, 1), new_mask[None] if new_mask.ndim == 2 else new_mask.permute(2, 0, 1)


def _levels(mask: Tensor) -> Tensor:
    return mask if mask.dtype == torch.uint8 else mask.mul(255).round_().byte()


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[-1], picture.shape[-2]
