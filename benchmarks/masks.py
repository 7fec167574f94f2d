"""False alarms on valid masks, and detected trimaps.

    python benchmarks/masks.py data/gt more/gt           # every mask as it is, and every fourth changed
    python benchmarks/masks.py data/gt --every 1

Masks are read as a data set reads them. They are changed as people change them: blurred, resized, quantized, of 16
bits, compressed, and compressed and saved as PNG; none of that makes label ids, colors or a trimap of them. Trimaps
are made of the same masks, with an unknown band around the edge.
"""

import argparse
import collections
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dichoseg.data.decoding import open_image, to_unit
from dichoseg.data.evidence import is_trimap
from dichoseg.data.finding import images_and_others
from dichoseg.data.mask_files import mask_pixels

Gray = NDArray[np.uint8]


def changed(mask: Gray) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Yield masks that mean the same."""
    yield "hard", (mask > 127) * np.uint8(255)
    yield "blurred", cv2.GaussianBlur(mask, (0, 0), 3)
    yield "soft", cv2.GaussianBlur(mask, (0, 0), 12)
    yield "half as large", cv2.resize(mask, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    yield "twice as large", cv2.resize(mask, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    yield "5 levels", np.round(cv2.GaussianBlur(mask, (0, 0), 3) / 63.75).astype(np.uint8) * np.uint8(63)
    yield "16 bits", mask.astype(np.uint16) * 257
    yield "16 bits, soft", (cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3) * 257).astype(np.uint16)


def trimaps(mask: Gray) -> Iterator[tuple[str, Gray]]:
    """Yield trimaps with bands of several widths."""
    for radius in (2, 5, 10, 20):
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        hard = (mask > 127).astype(np.uint8)
        inner, outer = cv2.erode(hard, kernel), cv2.dilate(hard, kernel)
        if inner.any() and not outer.all():
            yield f"trimap {2 * radius} wide", np.where(inner, 255, np.where(outer, 128, 0)).astype(np.uint8)


def saved(folder: Path, pixels: NDArray[np.generic]) -> Iterator[tuple[str, Path]]:
    """Yield files of one mask: PNG, and of 8 bits also lossy formats, and PNG of what these hold."""
    picture = Image.fromarray(pixels)
    picture.save(folder / "a.png")
    yield "png", folder / "a.png"
    if pixels.dtype != np.uint8:
        return
    for ending, quality in (("jpg", 20), ("jpg", 60), ("jpg", 95), ("webp", 20), ("webp", 80), ("avif", 75)):
        path = folder / f"a.{ending}"
        picture.save(path, quality=quality)
        yield f"{ending} {quality}", path
        with Image.open(path) as compressed:
            compressed.convert("L").save(folder / "b.png")
        yield f"{ending} {quality} as png", folder / "b.png"


def alarm(path: Path) -> str | None:
    """Return the alarm of one file."""
    try:
        mask = to_unit(mask_pixels(open_image(path), path, foreground=None))[0].numpy()
    except ValueError as error:
        return str(error).partition(": ")[2][:40]
    return "trimap" if is_trimap(mask) else None


def main() -> None:
    """Print counts of alarms by kind of file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of masks")
    parser.add_argument("--every", type=int, default=4, help="change every Nth mask")
    args = parser.parse_args()
    files = [path for folder in args.folders for path in images_and_others(folder)[0]]
    alarms = [(path, alarm(path)) for path in files]
    print(f"{len(files)} masks as they are: {sum(found is not None for _, found in alarms)} false alarms")
    for path, found in alarms:
        if found is not None:
            print(f"  {path}: {found}")
    counts: collections.Counter[str] = collections.Counter()
    found_as: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        for path in files[:: args.every]:
            mask = (to_unit(mask_pixels(open_image(path), path, foreground=None))[0].numpy() * 255).astype(np.uint8)
            for change, pixels in (*changed(mask), *trimaps(mask)):
                for kind, file in saved(Path(folder), pixels):
                    name = f"{change}, {kind}"
                    counts[name] += 1
                    if answer := alarm(file):
                        found_as[name][answer] += 1
    wrong = sum(sum(found.values()) for name, found in found_as.items() if "trimap" not in name)
    print(f"{sum(count for name, count in counts.items() if 'trimap' not in name)} changed: {wrong} false alarms")
    for name, count in counts.items():
        if found_as[name] or "trimap" in name:
            print(f"  {name}: {dict(found_as[name])} of {count}")


if __name__ == "__main__":
    main()
