"""Examine every file of a data set, and report the problems."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import math
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from ..runtime.progress import tracked
from .decoding import is_deep, load, open_image, opened, rgb_pixels, to_unit, upright_size
from .evidence import is_trimap
from .mask_files import Value, alpha_pixels, mask_pixels
from .report import DataReport, Problem, Size, problem_of

Item = TypeVar("Item")
Result = TypeVar("Result")

EMPTY = 0.05
"""Lowest level of an object; the compression of an empty mask as JPEG makes smaller ones."""
FAINT = 0.6
NEARLY_ALL = 0.99
STRETCHED = 0.03
SOFT_BLOCK = 8
SOFT_FRACTION = 0.1
LARGE_ENOUGH = (256, 256)
"""A JPEG image is decoded at reduced size, but not below this."""


class PairedFiles(Protocol):
    """Attributes of a `FolderDataset` that are examined."""

    files: list[tuple[str, Path, Path]]
    cutouts: bool
    foreground: tuple[Value, ...] | None
    ignore: tuple[Value, ...]
    resize_masks: bool
    left_out: tuple[Problem, ...]
    ignored: tuple[Problem, ...]


class _Pair(NamedTuple):
    """Result of reading one pair; the defaults stand for unreadable files."""

    problems: list[Problem]
    size: Size | None = None
    digest: bytes = b""
    foreground: float | None = None
    thin: float | None = None


def examine(dataset: PairedFiles, *, other: PairedFiles | None, progress: bool) -> DataReport:
    """Read every file of a data set once, and the images of another; see `FolderDataset.report`."""
    pairs = _in_threads(functools.partial(_examine_pair, dataset), dataset.files, progress=progress)
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
    fractions = [pair.foreground for pair in pairs if pair.foreground is not None]
    thin = [pair.thin for pair in pairs if pair.thin is not None]
    return DataReport(
        pairs=len(pairs),
        problems=tuple(sorted(problems, key=lambda problem: (problem.severity, problem.kind, problem.name))),
        sizes=(sizes[0], sizes[-1]) if sizes else None,
        foreground=(min(fractions), statistics.median(fractions), max(fractions)) if fractions else None,
        thin=statistics.median(thin) if thin else None,
    )


def size_mismatch(mask_path: Path, mask_size: Size, image_path: Path, image_size: Size) -> str:
    """Return the message for a mask whose size differs from its image's."""
    return "{} is {}x{} pixels but its image {} {}x{}".format(mask_path, *mask_size, image_path, *image_size)


def _in_threads(look: Callable[[Item], Result], items: Sequence[Item], *, progress: bool) -> list[Result]:
    """Call `look` with each item; return the results in order. Pillow decodes without the interpreter's lock."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = pool.map(look, items)
        return list(tracked(results, "check", len(items), shown=progress, unit="files"))


def _examine_pair(dataset: PairedFiles, files: tuple[str, Path, Path]) -> _Pair:
    """Read one pair and find its problems."""
    name, image_path, mask_path = files
    found: list[tuple[str, str]] = []  # kind and message
    size, digest, picture, mask = None, b"", None, None
    if dataset.cutouts:
        with _noted(found, "unreadable file"):
            picture = open_image(image_path)
        if picture is not None:
            size, digest = picture.size, _digest(picture, picture.size)
            with _noted(found, "no alpha channel"):
                mask = to_unit(alpha_pixels(picture, image_path))[0].numpy()
                found += _background_problems(rgb_pixels(picture)[mask == 0], image_path)
    else:
        with _noted(found, "unreadable file"):
            size, digest = _size_and_digest(image_path)
        with _noted(found, "unreadable file"):
            picture = open_image(mask_path)
        if picture is not None:
            with _noted(found, "label ids" if dataset.foreground is None else "colored mask"):
                pixels = mask_pixels(picture, mask_path, foreground=dataset.foreground, ignore=dataset.ignore)
                mask = to_unit(pixels)[0].numpy()
        if size is not None and picture is not None and picture.size != size:
            kind = _mismatch(picture.size, size, resized=dataset.resize_masks)
            found.append((kind, size_mismatch(mask_path, picture.size, image_path, size)))
    if mask is not None:
        found += _mask_problems(mask, mask_path)
    problems = [problem_of(kind, name, message) for kind, message in found]
    if mask is None:
        return _Pair(problems, size, digest)
    return _Pair(problems, size, digest, float((mask > 0.5).mean()), _thin_fraction(mask))


@contextlib.contextmanager
def _noted(found: list[tuple[str, str]], kind: str) -> Iterator[None]:
    """End the block at an error about a file, and add its kind and message to `found`."""
    try:
        yield
    except (OSError, ValueError) as error:
        found.append((kind, str(error)))


def _size_and_digest(path: Path) -> tuple[Size, bytes]:
    """Return the upright size of an image, and its digest; a JPEG is decoded at reduced size."""
    with opened(path) as image:
        size = upright_size(image)
        image.draft(None, LARGE_ENOUGH)
        load(image)
        return size, _digest(image, size)


def _look_alike(first: Path, second: Path) -> bool:
    """Return whether two files of equal digest have the same pixels; JPEGs were compared at reduced size only."""
    pictures = [open_image(path) for path in (first, second)]
    return _digest(pictures[0], pictures[0].size) == _digest(pictures[1], pictures[1].size)


def _digest(image: PillowImage.Image, size: Size) -> bytes:
    pixels = np.asarray(image) if is_deep(image) else rgb_pixels(image)
    digest = hashlib.blake2b(repr(size).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def _digest_and_path(path: Path) -> tuple[bytes, Path]:
    with contextlib.suppress(OSError, ValueError):
        return _size_and_digest(path)[1], path
    return b"", path


def _mismatch(mask_size: Size, image_size: Size, *, resized: bool) -> str:
    """Return the kind of a mask whose size differs from its image's."""
    if mask_size == image_size[::-1]:
        return "turned mask"
    if not resized:
        return "size mismatch"
    stretch = mask_size[0] * image_size[1] / (mask_size[1] * image_size[0])
    return "stretched mask" if abs(math.log(stretch)) > STRETCHED else "resized mask"


def _mask_problems(mask: NDArray[np.float32], path: Path) -> Iterator[tuple[str, str]]:
    """Yield kind and message of each problem of a mask (H, W)."""
    peak = float(mask.max())
    if peak < EMPTY:
        yield "empty mask", f"{path} is black all over; wanted an object"
    elif peak <= FAINT:
        yield "faint mask", f"{path} reaches {peak:.2f} of white at most; wanted 1"
    elif (covered := float((mask > 0.5).mean())) > NEARLY_ALL:
        yield "full mask", f"{path} is foreground on {covered:.1%} of its pixels; wanted an object before a background"
    elif is_trimap(mask):
        yield (
            "trimap",
            f"{path} has the levels of a trimap, black, white and one half; its gray would be learned as one half",
        )
    else:
        soft = _soft_fraction(mask)
        if soft > SOFT_FRACTION:
            yield "soft mask", f"{path} has areas between black and white, {soft:.0%} of its object; wanted edges only"
        border, middle = _border_and_middle(mask > 0.5)
        if border > max(0.5, middle):
            message = f"{path} is foreground on {border:.0%} of its border, {middle:.0%} of its middle"
            yield "probably inverted mask", message


def _soft_fraction(mask: NDArray[np.float32]) -> float:
    """Return the area of the blocks of gray pixels only, as a fraction of the object's."""
    height, width = (side // SOFT_BLOCK for side in mask.shape)
    inside = mask[: height * SOFT_BLOCK, : width * SOFT_BLOCK]
    gray = ((inside > 0.1) & (inside < 0.9)).reshape(height, SOFT_BLOCK, width, SOFT_BLOCK).all(axis=(1, 3))
    return float(gray.sum() * SOFT_BLOCK**2 / (mask > 0.1).sum())


def _thin_fraction(mask: NDArray[np.float32]) -> float | None:
    """Return the fraction of the object that a square of a hundredth of the longer side fits nowhere into."""
    inside = (mask > 0.5).astype(np.uint8)
    side = max(2, round(max(mask.shape) / 100))
    thick = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return 1 - float(thick.sum() / inside.sum()) if inside.any() else None


def _border_and_middle(foreground: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the fraction of foreground on the image's border, and in the inner third of its width and height."""
    height, width = foreground.shape
    border = np.concatenate([foreground[0], foreground[-1], foreground[:, 0], foreground[:, -1]])
    middle = foreground[height // 3 : height - height // 3, width // 3 : width - width // 3]
    return float(border.mean()), float(middle.mean())


def _background_problems(pixels: NDArray[np.uint8], path: Path) -> Iterator[tuple[str, str]]:
    """Yield a problem if the transparent pixels (N, 3) of a cut-out all have one color."""
    if len(pixels) and (pixels == pixels[0]).all():
        color = ", ".join(map(str, pixels[0]))
        yield "flat background", f"{path} has one color, RGB ({color}), under all transparent pixels"
