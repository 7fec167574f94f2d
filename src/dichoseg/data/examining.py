"""Looks at every file of a data set, before a network does: what fills a `DataReport`."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage
from tqdm import tqdm

from .decoding import alpha_tensor, colours, load, mask_tensor, open_image, opened
from .report import DataReport, Problem, Size, problem_of

Finding: TypeAlias = tuple[str, str]
"""Kind and message."""
P = ParamSpec("P")
Item = TypeVar("Item")
Result = TypeVar("Result")

FAINT = 0.6
STRETCHED = 0.03
SOFT_BLOCK = 8
SOFT_SHARE = 0.1
LARGE_ENOUGH = (256, 256)
"""A JPEG image is decoded in a fraction of its size, but of no less than this."""
LYING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


class PairedFiles(Protocol):
    """The attributes of a `FolderDataset` that are examined."""

    files: list[tuple[str, Path, Path]]
    cutouts: bool
    foreground: tuple[int, ...] | None
    resize_masks: bool
    left_out: tuple[Problem, ...]
    ignored: tuple[Problem, ...]


class _Pair(NamedTuple):
    """Result of reading one pair; None and no bytes for what cannot be read."""

    problems: list[Problem]
    size: Size | None = None
    digest: bytes = b""
    foreground: float | None = None


def examine(dataset: PairedFiles, *, other: PairedFiles | None, progress: bool) -> DataReport:
    """Read every file of a data set once, and the images of another; see `FolderDataset.report`."""
    pairs = _in_threads(functools.partial(_look, dataset), dataset.files, progress=progress)
    images = {name: path for name, path, _ in dataset.files}
    digests = {name: pair.digest for name, pair in zip(images, pairs, strict=True) if pair.digest}
    problems = [*dataset.left_out, *dataset.ignored, *itertools.chain.from_iterable(pair.problems for pair in pairs)]
    first: dict[bytes, str] = {}
    for name, digest in digests.items():
        if first.setdefault(digest, name) != name and _look_alike(images[name], images[first[digest]]):
            message = f"{images[name]} shows the same as {images[first[digest]]}"
            problems.append(problem_of("same image twice", name, message))
    if other is not None:
        theirs = dict(_in_threads(_digest_and_path, [path for _, path, _ in other.files], progress=progress))
        for name, digest in digests.items():
            if digest in theirs and _look_alike(images[name], theirs[digest]):
                message = f"{images[name]} shows the same as {theirs[digest]} of the other set"
                problems.append(problem_of("in both sets", name, message))
    sizes = sorted((pair.size for pair in pairs if pair.size), key=lambda size: (size[0] * size[1], size))
    shares = [pair.foreground for pair in pairs if pair.foreground is not None]
    return DataReport(
        pairs=len(pairs),
        problems=tuple(sorted(problems, key=lambda problem: (problem.severity, problem.kind, problem.name))),
        sizes=(sizes[0], sizes[-1]) if sizes else None,
        foreground=(min(shares), statistics.median(shares), max(shares)) if shares else None,
    )


def size_mismatch(mask_path: Path, mask_size: Size, image_path: Path, image_size: Size) -> str:
    """The sentence for a mask of another size than its image."""
    return "{} is {}x{} pixels but its image {} {}x{}".format(mask_path, *mask_size, image_path, *image_size)


def _in_threads(look: Callable[[Item], Result], items: Sequence[Item], *, progress: bool) -> list[Result]:
    """`look` at each item, in order; Pillow decodes without the interpreter's lock."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = pool.map(look, items)
        return list(tqdm(results, "check", len(items), leave=False, disable=None if progress else True))


def _look(dataset: PairedFiles, files: tuple[str, Path, Path]) -> _Pair:
    """Read one pair and judge it."""
    name, image_path, mask_path = files
    found: list[Finding] = []
    seen, mask, share = None, None, None
    if dataset.cutouts:
        picture = _attempt(found, "unreadable file", open_image, image_path)
        if picture is not None:
            seen = picture.size, _digest(picture, picture.size)
            mask = _attempt(found, "no alpha channel", alpha_tensor, picture, image_path)
        if picture is not None and mask is not None:
            found += _background(colours(picture)[mask[0].numpy() == 0], image_path)
    else:
        seen = _attempt(found, "unreadable file", _glance, image_path)
        picture = _attempt(found, "unreadable file", open_image, mask_path)
        if picture is not None:
            kind = "label ids" if dataset.foreground is None else "coloured mask"
            mask = _attempt(found, kind, mask_tensor, picture, mask_path, foreground=dataset.foreground)
        if seen is not None and picture is not None and picture.size != seen[0]:
            kind = _mismatch(picture.size, seen[0], resized=dataset.resize_masks)
            found.append((kind, size_mismatch(mask_path, picture.size, image_path, seen[0])))
    if mask is not None:
        found += _judged(mask[0].numpy(), mask_path)
        share = float((mask[0].numpy() > 0.5).mean())
    size, digest = seen or (None, b"")
    return _Pair([problem_of(kind, name, message) for kind, message in found], size, digest, share)


def _attempt(
    found: list[Finding], kind: str, read: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
) -> Result | None:
    """What `read` gives, or None where it raises, which becomes a finding."""
    try:
        return read(*args, **kwargs)
    except (OSError, ValueError) as error:
        found.append((kind, str(error)))
        return None


def _glance(path: Path) -> tuple[Size, bytes]:
    """Size, after EXIF orientation, and digest of an image; a JPEG is decoded in a fraction of its size."""
    with opened(path) as image:
        size = image.size
        if image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation) in LYING:
            size = size[::-1]  # Pillow's TIFF reader has done so already
        image.draft(None, LARGE_ENOUGH)
        load(image)
        return size, _digest(image, size)


def _look_alike(first: Path, second: Path) -> bool:
    """Whether two files of one digest have the same pixels: JPEGs agreed in a fraction of their size only."""
    pictures = [open_image(path) for path in (first, second)]
    return _digest(pictures[0], pictures[0].size) == _digest(pictures[1], pictures[1].size)


def _digest(image: PillowImage.Image, size: Size) -> bytes:
    pixels = np.asarray(image) if image.mode.startswith(("I", "F")) else colours(image)
    digest = hashlib.blake2b(repr(size).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def _digest_and_path(path: Path) -> tuple[bytes, Path]:
    seen = _attempt([], "unreadable file", _glance, path)
    return seen[1] if seen else b"", path


def _mismatch(mask_size: Size, image_size: Size, *, resized: bool) -> str:
    """The kind of a mask of another size."""
    if mask_size == image_size[::-1]:
        return "turned mask"
    if not resized:
        return "size mismatch"
    stretch = mask_size[0] * image_size[1] / (mask_size[1] * image_size[0])
    return "stretched mask" if abs(math.log(stretch)) > STRETCHED else "resized mask"


def _judged(mask: NDArray[np.float32], path: Path) -> Iterator[Finding]:
    """What a network or a metric would trip over in a mask, (H, W)."""
    peak = float(mask.max())
    if peak == 0:
        yield "empty mask", f"{path} is black all over; wanted an object"
    elif peak <= FAINT:
        yield "faint mask", f"{path} reaches {peak:.2f} of white at most; wanted 1"
    elif mask.min() > 0.5:
        yield "full mask", f"{path} is foreground all over; wanted an object before a background"
    else:
        soft = _soft_share(mask)
        if soft > SOFT_SHARE:
            yield "soft mask", f"{path} has areas between black and white, {soft:.0%} of its object; wanted edges only"
        border, middle = _border_and_middle(mask > 0.5)
        if border > max(0.5, middle):
            yield (
                "probably inverted mask",
                f"{path} is foreground on {border:.0%} of its border, {middle:.0%} of its middle",
            )


def _soft_share(mask: NDArray[np.float32]) -> float:
    """Area of the blocks in which every pixel is grey, as a share of the object."""
    height, width = (side // SOFT_BLOCK for side in mask.shape)
    inside = mask[: height * SOFT_BLOCK, : width * SOFT_BLOCK]
    grey = ((inside > 0.1) & (inside < 0.9)).reshape(height, SOFT_BLOCK, width, SOFT_BLOCK).all(axis=(1, 3))
    return float(grey.sum() * SOFT_BLOCK**2 / (mask > 0.1).sum())


def _border_and_middle(foreground: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of foreground on the picture's border, and in the inner third of its width and height."""
    height, width = foreground.shape
    border = np.concatenate([foreground[0], foreground[-1], foreground[:, 0], foreground[:, -1]])
    middle = foreground[height // 3 : height - height // 3, width // 3 : width - width // 3]
    return float(border.mean()), float(middle.mean())


def _background(pixels: NDArray[np.uint8], path: Path) -> Iterator[Finding]:
    """Whether the pixels (N, 3) that a cut-out hides all have one colour."""
    if len(pixels) and (pixels == pixels[0]).all():
        colour = ", ".join(map(str, pixels[0]))
        yield "flat background", f"{path} has one colour, RGB ({colour}), under all that is transparent"
