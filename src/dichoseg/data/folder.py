"""Images and masks in two folders."""

from __future__ import annotations

import copy
import itertools
import logging
import os
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
from .decoding import alpha_pixels, eight_bits, image_pixels, open_image, open_reduced, read_mask_pixels, to_unit
from .examining import examine, size_mismatch
from .report import DataReport, Problem, problem_of

logger = logging.getLogger(__name__)

Transform = Callable[..., dict[str, NDArray[np.uint8]]]

ALPHA = "alpha"


class FolderDataset(Dataset[Sample]):
    """Images and their masks from two folders, paired by path without extension, subfolders included.

    Files are read when they are asked for; `report` reads all of them and lists what is wrong. Images come as RGB
    with their EXIF orientation applied; see `read_image` and `read_mask` for what is understood.

    Args:
        images: Folder of images, in any format that Pillow reads.
        masks: Folder of masks, or the word `"alpha"`: then the images are cut-outs, and the alpha channel of each
            is its mask. (A folder of that name is `Path("alpha")`.)
        transform: Called as `transform(image=..., mask=...)` with HWC and HW uint8 arrays, and returns a dict of
            both, as albumentations' `Compose` does. Runs in the workers of `fit`.
        mask_suffix: What the masks' names have behind those of their images, such as `"_mask"` where `1_mask.png` is
            the mask of `1.jpg`. Other files are no masks then, so both may lie in one folder, given twice.
        foreground: For masks of label ids: the ids that are foreground, as in `read_mask`.
        resize_masks: Whether a mask of another size is resized to its image's: bilinear, antialiased where it
            shrinks, so that edges become soft. Otherwise such a mask is an error.
        strict: Whether an image without mask, a mask without image and two files for one key are errors. Otherwise
            they are left out, a warning of the log counts them, and `left_out` and `report` list them.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: An empty folder; one folder for both without `mask_suffix`; files that make no pair, where
            `strict`; or no pair at all.
    """

    def __init__(
        self,
        images: str | Path,
        masks: str | Path,
        *,
        transform: Transform | None = None,
        mask_suffix: str = "",
        foreground: Sequence[int] | None = None,
        resize_masks: bool = False,
        strict: bool = True,
    ) -> None:
        self.cutouts = masks == ALPHA
        if mask_suffix and self.cutouts:
            raise ValueError(f"mask_suffix is of files of masks, and masks='alpha' has none; got {mask_suffix!r}")
        if foreground is not None and self.cutouts:
            raise ValueError("foreground takes ids of masks that hold label ids; got masks='alpha'")
        if isinstance(foreground, int):
            raise TypeError(f"foreground takes a sequence of label ids, such as [{foreground}]; got {foreground}")
        if foreground is not None and len(foreground) == 0:
            raise ValueError("foreground needs one label id or more; got none")
        self.transform = transform
        self.foreground = None if foreground is None else tuple(foreground)
        self.resize_masks = resize_masks
        image_paths, others = images_and_others(Path(images))
        passed_over: list[Path] = []
        if self.cutouts:
            image_files = _by_key(Path(images), image_paths)
            mask_files = {key: paths[:1] for key, paths in image_files.items()}
        else:
            mask_paths, more = images_and_others(Path(masks))
            mask_paths, passed_over = _by_suffix(mask_paths, mask_suffix)
            if Path(images).resolve() == Path(masks).resolve():
                image_paths, passed_over, more = passed_over, [], []
                if not mask_suffix:
                    raise ValueError(
                        f"{images} is the folder of both images and masks: mask_suffix= says what the "
                        "masks' names have behind those of their images, such as '_mask'"
                    )
            if mask_suffix and not mask_paths:
                raise ValueError(f"no masks in {masks}: wanted names that end in {mask_suffix!r}, as mask_suffix says")
            if mask_suffix and not image_paths:
                raise ValueError(f"no images in {images}: wanted names that do not end in {mask_suffix!r} too")
            image_files = _by_key(Path(images), image_paths)
            mask_files = _by_key(Path(masks), mask_paths, suffix=mask_suffix)
            others += more
        self.ignored = tuple(
            problem_of("ignored file", path.name, f"{path} {why}")
            for paths, why in (
                (others, "is of no kind that can be read as an image"),
                (passed_over, f"is taken for no mask, since its name does not end in {mask_suffix!r}"),
            )
            for path in paths
        )
        self.left_out = tuple(_partnerless(image_files, mask_files, Path(images), Path(masks)))
        names = sorted((image_files.keys() & mask_files.keys()) - {problem.name for problem in self.left_out})
        self.files = [(name, image_files[name][0], mask_files[name][0]) for name in names]
        if not self.files:
            examples = [next(iter(files.values()))[0] for files in (image_files, mask_files)]
            raise ValueError(
                f"no pair in {images} and {masks}: wanted an image and a mask of one name; "
                f"got such as {examples[0]} and {examples[1]}" + _hint(image_files, mask_files, mask_suffix)
            )
        if self.left_out and strict:
            count = len(self.left_out)
            raise ValueError(
                self.left_out[0].message
                + (f" (and {count - 1} more problems)" if count > 1 else "")
                + "; report() lists all, strict=False leaves them out"
            )
        if self.left_out:
            counts = Counter(problem.kind for problem in self.left_out)
            logger.warning(
                "%d pairs in %s and %s; left out: %s; report() lists them",
                len(self.files), images, masks, ", ".join(f"{kind} ({count})" for kind, count in counts.items()),
            )  # fmt: skip

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pairs, {self.files[0][0]} to {self.files[-1][0]})"

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Read one pair; a ValueError names a file that cannot be read or whose size differs from its image's."""
        return self.load(index)

    def load(self, index: int, *, at_least: int | None = None) -> Sample:
        """Read one pair, the image in a fraction of its size where it is a JPEG, for who shrinks it anyway: faster.

        The fraction is a half, a quarter or an eighth, one that divides both sides. The mask keeps its native size.

        Args:
            index: Which pair.
            at_least: Pixels that the image's shorter side must keep. None reads it at its native size, and so does a
                set with a transform.

        Raises:
            ValueError: A file that cannot be read, or a mask whose native size differs from its image's.
        """
        image, mask, name = self.load_pixels(index, at_least=at_least)
        return Sample(to_unit(image), to_unit(mask), name)

    def load_pixels(self, index: int, *, at_least: int | None = None) -> Sample:
        """Read one pair as `load` does, but leave what has 8 bits in uint8, for who wants a batch before floats.

        Image and mask are each of levels 0 to 255, or, of a deeper file and of a resized mask, float32 in [0, 1].
        """
        name, image_path, mask_path = self.files[index]
        if at_least is None or self.transform is not None:
            picture = open_image(image_path)
            size = picture.size
        else:
            picture, size = open_reduced(image_path, at_least=at_least)
        if self.cutouts:
            mask = alpha_pixels(picture, image_path)
        else:
            mask = read_mask_pixels(mask_path, foreground=self.foreground)
        if _size(mask) != size:
            message = size_mismatch(mask_path, _size(mask), image_path, size)
            if _size(mask) == size[::-1]:
                raise ValueError(f"{message}; one of them is turned, as by an EXIF orientation that only one has")
            if not self.resize_masks:
                raise ValueError(f"{message}; resize_masks=True resizes such masks")
            mask = _resized(to_unit(mask), size[::-1])
        if self.transform is None:
            return Sample(image_pixels(picture), mask, name)
        return Sample(*_transformed(self.transform, eight_bits(picture), mask, name), name)

    def report(self, *, other: FolderDataset | None = None, progress: bool = False) -> DataReport:
        """Read every file once and list what is wrong; nothing that a file holds makes it raise.

        Args:
            other: Another set, such as the one to validate on; images that both hold are listed. They are found
                under other names and with other metadata, but not when they were encoded anew.
            progress: Whether to show a bar on a terminal.
        """
        return examine(self, other=other, progress=progress)

    def without(self, names: Collection[str]) -> Self:
        """The set without some samples, such as `report().unusable`.

        Args:
            names: Names of samples: paths relative to the folder, without extension.

        Raises:
            ValueError: A name that no sample has, or nothing remains.
        """
        if isinstance(names, str):
            raise TypeError(f"without takes a collection of names, such as [{names!r}]; got {names!r}")
        leaving = frozenset(names)
        unknown = sorted(leaving - {name for name, _, _ in self.files})
        if unknown:
            raise ValueError(f"no sample is named {unknown[0]!r}; wanted names such as {self.files[0][0]!r}")
        remaining = [files for files in self.files if files[0] not in leaving]
        if not remaining:
            raise ValueError(f"nothing remains without these {len(self)} samples, which are all of the set")
        return self._with(remaining)

    def split(self, fraction: float, *, seed: int = 0) -> tuple[Self, Self]:
        """Split at random into a training and a validation set.

        The training set keeps the transform; the validation set has none, so that nobody validates on augmented
        images unawares.

        Args:
            fraction: Share of the validation set, above 0 and below 1; both sets get at least one pair.
            seed: The same seed splits the same way.
        """
        if not 0 < fraction < 1 or len(self) < 2:
            raise ValueError(f"a split needs a fraction between 0 and 1 and two pairs; got {fraction} and {len(self)}")
        order = np.random.default_rng(seed).permutation(len(self)).tolist()
        held_out = set(order[: min(max(round(fraction * len(self)), 1), len(self) - 1)])
        training = [files for index, files in enumerate(self.files) if index not in held_out]
        validation = self._with([self.files[index] for index in sorted(held_out)])
        validation.transform = None
        validation.left_out = validation.ignored = ()  # they are the training set's to tell
        return self._with(training), validation

    def _with(self, files: list[tuple[str, Path, Path]]) -> Self:
        part = copy.copy(self)
        part.files = files
        return part


def find_folders(
    root: str | Path, *, part: str = "train", images: str = "im", masks: str = "gt"
) -> tuple[Path, Path | str]:
    """Find the images and the masks of a data set in one of the usual layouts: the arguments of `FolderDataset`.

    `ROOT/im` and `ROOT/gt`, the same below `ROOT/train` (or another part), or below DIS5K's `ROOT/DIS-TR` and
    `ROOT/DIS-VD`.

    Args:
        root: The data set's folder.
        part: `"train"`, `"val"`, or another subfolder.
        images: Name of the subfolder of images.
        masks: Name of the subfolder of masks, or `"alpha"` for cut-outs; these may also lie in the part's folder,
            without a subfolder of their own.

    Raises:
        FileNotFoundError: None of them is there; the message names the subfolders that are.
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


def images_and_others(root: Path) -> tuple[list[Path], list[Path]]:
    """The files below a folder that Pillow has a reader for, by their extension, and all others; both sorted.

    Hidden files and folders are passed over. Links to folders are not followed, since they may lead round in a circle;
    they are among the others, as are links that lead nowhere.

    Raises:
        FileNotFoundError: No such folder.
        OSError: A folder in it cannot be listed; the message names it.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    known = {ending for ending, kind in PillowImage.registered_extensions().items() if kind in PillowImage.OPEN}
    images: list[Path] = []
    others: list[Path] = []
    for folder, subfolders, names in os.walk(root, onerror=_refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for path in (Path(folder, name) for name in names + links if not name.startswith(".")):
            (images if path.suffix.lower() in known and path.is_file() else others).append(path)
    return sorted(images), sorted(others)


def _refuse(error: OSError) -> None:
    raise type(error)(f"{error.filename} cannot be listed: {error.strerror}; wanted a folder of images") from error


def files_by_name(root: Path, *, suffix: str = "") -> dict[str, Path]:
    """Every image below a folder by its name: its path relative to the folder, without extension and suffix.

    Where there is a suffix, such as `"_mask"`, files whose names do not end in it are passed over.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: No images, or two files of one name.
    """
    paths, _ = _by_suffix(images_and_others(root)[0], suffix)
    if suffix and not paths:
        raise ValueError(f"no images in {root} whose names end in {suffix!r}")
    files = _by_key(root, paths, suffix=suffix)
    for same_name in files.values():
        if len(same_name) > 1:
            raise ValueError(f"two files for one key: {' and '.join(map(str, same_name))}")
    return {name: same_name[0] for name, same_name in files.items()}


def _by_suffix(paths: Sequence[Path], suffix: str) -> tuple[list[Path], list[Path]]:
    """The files whose names, without extension, have a suffix behind them, and all others."""
    if PillowImage.registered_extensions().get(Path(f"_{suffix}").suffix.lower()):
        raise ValueError(f"mask_suffix is what stands before the extension, such as '_mask'; got {suffix!r}")
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
        raise ValueError(f"no images in {root}")
    return files


def _hint(images: Collection[str], masks: Collection[str], suffix: str) -> str:
    """What would pair most: what the names of masks have behind the name of an image."""
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
    """The files that make no pair, each as a problem."""
    problems = [
        problem_of("two files for one key", key, f"two files for one key: {' and '.join(map(str, paths))}")
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
        return "it holds no folders" if root.is_dir() else "there is no such folder"
    shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
    return f"it holds {shown}; images= and masks= take other names"


def _resized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    resized = F.interpolate(mask[None], size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized[0].clamp(0, 1)


def _transformed(transform: Transform, image: NDArray[np.uint8], mask: Tensor, name: str) -> tuple[Tensor, Tensor]:
    levels = mask if mask.dtype == torch.uint8 else mask.mul(255).round_().byte()
    result = transform(image=image, mask=levels[0].numpy())
    for kind in ("image", "mask"):
        if result[kind].dtype != np.uint8:
            raise ValueError(
                f"{name}: the transform gave {result[kind].dtype} for the {kind}; wanted uint8, as it was given "
                "(the model's preprocessing scales and normalises)"
            )
    if result["image"].shape[:2] != result["mask"].shape[:2]:
        raise ValueError(
            f"{name}: the transform gave an image {result['image'].shape} and a mask {result['mask'].shape}; "
            "wanted one height and width"
        )
    new_image, new_mask = (torch.from_numpy(np.ascontiguousarray(result[kind])) for kind in ("image", "mask"))
    return new_image.permute(2, 0, 1), new_mask[None]


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[-1], picture.shape[-2]
