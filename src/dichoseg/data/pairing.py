"""Pairs of images and masks, by the names of their files."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image as PillowImage

from .finding import images_and_others
from .report import Problem, problem_of
from .results import is_result


class Pairs(NamedTuple):
    """Images with their masks, and all other files in their folders."""

    files: list[tuple[str, Path, Path]]
    """Key, image and mask of each pair, sorted. The key is the path relative to the folder, without extension."""
    left_out: tuple[Problem, ...]
    """Files without a partner, or with several."""
    ignored: tuple[Problem, ...]
    """Files that are not images."""


def find_pairs(images: Path, masks: Path, suffix: str = "") -> Pairs:
    """Pair the images and masks in two folders by path without extension, subfolders included.

    Args:
        images: Folder of images.
        masks: Folder of masks; it may be that of the images if there is a suffix.
        suffix: Suffix that the masks' names add to those of their images.

    Raises:
        FileNotFoundError: A folder does not exist.
        ValueError: A folder is empty or holds no pair.
    """
    image_files, mask_files, ignored = _images_and_masks(images, masks, suffix)
    left_out = tuple(_partnerless(image_files, mask_files, images, masks))
    keys = sorted((image_files.keys() & mask_files.keys()) - {problem.name for problem in left_out})
    if not keys:
        if image_files.keys() & mask_files.keys():
            raise ValueError(f"no pair in {images} and {masks} of one file each; {left_out[0].message}")
        examples = [next(iter(files.values()))[0] for files in (image_files, mask_files)]
        raise ValueError(
            f"no pair in {images} and {masks}: an image and its mask must have the same name; "
            f"got such as {examples[0]} and {examples[1]}" + _hint(image_files, mask_files, suffix)
        )
    return Pairs([(key, image_files[key][0], mask_files[key][0]) for key in keys], left_out, ignored)


def find_cutouts(images: Path) -> Pairs:
    """List the cut-outs in a folder, which are their own masks.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The folder is empty, or all of its files have the key of another one.
    """
    paths, others = images_and_others(images)
    files = _by_key(images, paths)
    left_out = tuple(_doubled(files))
    keys = sorted(files.keys() - {problem.name for problem in left_out})
    if not keys:
        raise ValueError(f"no cut-out in {images} of one file each; {left_out[0].message}")
    return Pairs([(key, files[key][0], files[key][0]) for key in keys], left_out, _ignored(others))


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


def _doubled(files: dict[str, list[Path]]) -> list[Problem]:
    """Return the keys with several files as problems."""
    return [
        problem_of("two files for one key", key, _two_files(paths))
        for key, paths in sorted(files.items())
        if len(paths) > 1
    ]


def _partnerless(
    images: dict[str, list[Path]], masks: dict[str, list[Path]], image_root: Path, mask_root: Path
) -> list[Problem]:
    """Return the files without a partner as problems."""
    problems = _doubled(images) + _doubled(masks)
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
