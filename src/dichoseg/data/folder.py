"""Data set of images and masks in two folders."""

from __future__ import annotations

import copy
import itertools
import logging
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor
from torch.utils.data import Dataset

from ..contracts import Sample
from ..masks import all_count
from .decoding import (
    Value,
    alpha_pixels,
    check_values,
    choose_picture,
    eight_bits,
    image_pixels,
    open_image,
    open_reduced,
    opened,
    read_mask_pixels,
    to_unit,
    upright_size,
)
from .examining import examine, size_mismatch
from .formats import usable_endings
from .report import DataReport, Problem, problem_of
from .results import is_result

logger = logging.getLogger(__name__)

Transform = Callable[..., dict[str, NDArray[np.uint8]]]

ALPHA = "alpha"
SIDECARS = ("@eaDir", "__MACOSX", "Thumbs", "#recycle", "$RECYCLE.BIN")
"""Folders of previews and deleted files on network drives, in archives and on Windows."""


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
        if self.cutouts:
            paths, others = images_and_others(Path(images))
            image_files = _by_key(Path(images), paths)
            mask_files = {key: paths[:1] for key, paths in image_files.items()}
            self.ignored = _ignored(others)
        else:
            image_files, mask_files, self.ignored = _images_and_masks(Path(images), Path(masks), mask_suffix)
        self.left_out = tuple(_partnerless(image_files, mask_files, Path(images), Path(masks)))
        names = sorted((image_files.keys() & mask_files.keys()) - {problem.name for problem in self.left_out})
        self.files = [(name, image_files[name][0], mask_files[name][0]) for name in names]
        if not self.files and image_files.keys() & mask_files.keys():
            raise ValueError(f"no pair in {images} and {masks} of one file each; {self.left_out[0].message}")
        if not self.files:
            examples = [next(iter(files.values()))[0] for files in (image_files, mask_files)]
            raise ValueError(
                f"no pair in {images} and {masks}: an image and its mask must have the same name; "
                f"got such as {examples[0]} and {examples[1]}" + _hint(image_files, mask_files, mask_suffix)
            )
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


def find_folders(
    root: str | Path, *, part: str = "train", images: str = "im", masks: str = "gt"
) -> tuple[Path, Path | str]:
    """Find the folders of images and masks, the arguments of `FolderDataset`, in one of the usual layouts.

    The layouts are `ROOT/im` and `ROOT/gt`, the same below `ROOT/train` (or another part), or below DIS5K's
    `ROOT/DIS-TR` and `ROOT/DIS-VD`.

    Args:
        root: Folder of the data set.
        part: `"train"`, `"val"`, or another subfolder.
        images: Name of the subfolder of images.
        masks: Name of the subfolder of masks, or `"alpha"` for cut-outs, which may also be in the part's folder itself.
    """
    root = Path(root)
    own_names = {"train": (root / "train", root / "DIS-TR", root), "val": (root / "val", root / "DIS-VD")}
    candidates = own_names.get(part, (root / part,))
    for folder in candidates:
        if (folder / images).is_dir() and (masks == ALPHA or (folder / masks).is_dir()):
            return folder / images, ALPHA if masks == ALPHA else folder / masks
    if masks == ALPHA:
        for folder in filter(Path.is_dir, candidates):
            return folder, ALPHA
    names = images if masks == ALPHA else f"{{{images},{masks}}}"
    wanted = " or ".join(f"{folder}/{names}" for folder in candidates)
    raise FileNotFoundError(f"no images and masks in {root}: wanted {wanted}; {_what_is_in(root, candidates)}")


def _layout_hint(root: str | Path) -> str:
    """Suggest how to open a folder that holds the folders of images and masks."""
    try:
        find_folders(root)
    except FileNotFoundError:
        return ""
    return f"; wanted FolderDataset(*find_folders({str(root)!r})), or open_folders for the validation set too"


def images_and_others(root: Path) -> tuple[list[Path], list[Path]]:
    """List the files below a folder that can be read, by their extension, and all others; both sorted.

    Hidden files and folders are ignored, as are those in which systems keep previews. Links to folders are not
    followed, because they may form a circle; they are among the others, as are broken links.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    known = usable_endings()
    images: list[Path] = []
    others: list[Path] = []
    for folder, subfolders, names in os.walk(root, onerror=_refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in SIDECARS]
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for path in (Path(folder, name) for name in names + links if not name.startswith(".")):
            (images if path.suffix.lower() in known and path.is_file() else others).append(path)
    return sorted(images), sorted(others)


def _refuse(error: OSError) -> None:
    raise type(error)(f"{error.filename} cannot be listed: {error.strerror}; wanted a folder of images") from error


def files_by_name(root: Path, *, suffix: str = "") -> dict[str, Path]:
    """Return every image below a folder by its name: its path relative to the folder, without extension and suffix.

    With a suffix, such as `"_mask"`, files whose names do not end in it are ignored.
    """
    files = _by_key(root, _by_suffix(images_and_others(root)[0], suffix)[0], suffix=suffix)
    for same_name in files.values():
        if len(same_name) > 1:
            raise ValueError(_two_files(same_name))
    return {name: same_name[0] for name, same_name in files.items()}


def _images_and_masks(
    images: Path, masks: Path, suffix: str
) -> tuple[dict[str, list[Path]], dict[str, list[Path]], tuple[Problem, ...]]:
    """List the files of images, without results next to them, and of masks by key, and ignored files as problems."""
    image_paths, others = images_and_others(images)
    image_paths = [path for path in image_paths if not is_result(path)]
    mask_paths, more = images_and_others(masks)
    mask_paths, unmarked = _by_suffix(mask_paths, suffix)
    if images.resolve() == masks.resolve():
        image_paths, unmarked, more = unmarked, [], []
        if not image_paths:
            raise ValueError(
                f"no images in {images}, but masks only: all names end in mask_suffix={suffix!r}; in a folder of both, "
                "it must say what only the masks' names end in, such as '_mask'"
            )
    image_files, mask_files = _by_key(images, image_paths), _by_key(masks, mask_paths, suffix=suffix)
    return (
        image_files,
        mask_files,
        _ignored(others + more) + _ignored(unmarked, f"is not a mask: its name lacks {suffix!r}"),
    )


def _ignored(
    paths: Sequence[Path], reason: str = "is not of a kind that can be read as an image"
) -> tuple[Problem, ...]:
    return tuple(problem_of("ignored file", path.name, f"{path} {reason}") for path in paths)


def _by_suffix(paths: Sequence[Path], suffix: str) -> tuple[list[Path], list[Path]]:
    """Split files into those whose names, without extension, end in a suffix, and all others."""
    if PillowImage.registered_extensions().get(Path(f"_{suffix}").suffix.lower()):
        raise ValueError(f"mask_suffix must end before the extension, such as '_mask'; got {suffix!r}")
    ending = unicodedata.normalize("NFC", suffix)
    stems = [unicodedata.normalize("NFC", path.stem) for path in paths]
    having = [stem.endswith(ending) and stem != ending for stem in stems]
    return list(itertools.compress(paths, having)), [path for path, has in zip(paths, having, strict=True) if not has]


def _by_key(root: Path, paths: Sequence[Path], *, suffix: str = "") -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in paths:
        key = unicodedata.normalize("NFC", path.relative_to(root).with_suffix("").as_posix())  # macOS writes NFD
        files.setdefault(key.removesuffix(unicodedata.normalize("NFC", suffix)), []).append(path)
    if not files:
        raise ValueError(f"no images in {root}" + (f" whose names end in {suffix!r}" if suffix else ""))
    return files


def _two_files(paths: Sequence[Path]) -> str:
    """Return the message for files of one key, with their Unicode normal forms if they look the same."""
    looks = {unicodedata.normalize("NFC", str(path)) for path in paths}
    shown = [str(path) for path in paths]
    if len(looks) < len(paths):
        shown = [f"{path} ({'NFC' if unicodedata.is_normalized('NFC', str(path)) else 'NFD'})" for path in paths]
    return f"two files for one key: {' and '.join(shown)}"


def _hint(images: Collection[str], masks: Collection[str], suffix: str) -> str:
    """Suggest the suffix that would pair the most files, from the ends of the masks' names after an image's name."""
    some = list(masks)[:10]
    endings = {mask.removeprefix(image) for mask in some for image in images if mask.startswith(image)}
    pairs = {
        ending: sum(mask.endswith(ending) and mask.removesuffix(ending) in images for mask in masks)
        for ending in endings
    }
    best = max(pairs, key=lambda ending: pairs[ending], default="")
    if 2 * pairs.get(best, 0) <= len(masks):
        return ""
    wanted = best + suffix
    return f"; mask_suffix={wanted!r} would pair {pairs[best]} of {len(masks)} masks"


def _partnerless(
    images: dict[str, list[Path]], masks: dict[str, list[Path]], image_root: Path, mask_root: Path
) -> list[Problem]:
    """Return the files without a partner as problems."""
    problems = [
        problem_of("two files for one key", key, _two_files(paths))
        for files in (images, masks)
        for key, paths in sorted(files.items())
        if len(paths) > 1
    ]
    doubled = {problem.name for problem in problems}
    for kind, files, others, folder in (
        ("image without mask", images, masks, mask_root),
        ("mask without image", masks, images, image_root),
    ):
        missing = kind.split()[-1]
        problems += [
            problem_of(kind, key, f"{files[key][0]} has no {missing} in {folder}")
            for key in sorted(files.keys() - others.keys() - doubled)
        ]
    return problems


def _what_is_in(root: Path, folders: Sequence[Path]) -> str:
    parents = [folder for folder in dict.fromkeys((root, *folders)) if folder.is_dir()]
    found = sorted(
        {path.relative_to(root).as_posix() for folder in parents for path in folder.iterdir() if path.is_dir()}
    )
    if not found:
        return f"{root} " + ("holds no folders" if root.is_dir() else "does not exist")
    shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
    return f"it holds {shown}; images= and masks= take other names"


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
