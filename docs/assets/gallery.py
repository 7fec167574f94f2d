"""Make the pictures of the gallery and of the first screen, and write the gallery's list into its page.

    python docs/assets/gallery.py WEIGHTS PHOTOGRAPHS

WEIGHTS are those of IS-Net for general use. PHOTOGRAPHS is a folder with the files of `PHOTOGRAPHS` below, from these
packages: `skimage/data` in the wheel of scikit-image 0.26, `mpl-data/sample_data` in that of matplotlib 3.11, and
`scipy/misc/face.dat` in that of scipy 1.9 (raw RGB, 768 by 1024 pixels, in bzip2), saved as `raccoon.png`. Without
arguments, only the page is written.
"""

from __future__ import annotations

import sys
import tempfile
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

import dichoseg
from dichoseg.photographs import predict_files
from dichoseg.scenes import synthetic
from dichoseg.scenes.canvas import HAIRLINE, Canvas, bezier, blank, circle, fill, ring, strokes
from dichoseg.visualize import contact_sheet, error_map

HERE = Path(__file__).parent
FOLDER = HERE.parent / "gallery"
PAGE = FOLDER / "index.md"
BEGIN, END = "<!-- list of the gallery -->\n", "<!-- end of the list -->\n"
SIDE = 640
"""Longer side of the pictures, in pixels."""
FIRST_SCREEN = ("hair", "bicycle", "birdcage", "glass", "camera", "rocket")
SEED = 7
"""Seed of the synthetic scenes."""


class Entry(NamedTuple):
    """Picture of the gallery."""

    title: str
    text: str


PHOTOGRAPHS = {
    "coffee.png": Entry("Coffee", "A cup, a saucer and a spoon against wood of nearly the same color."),
    "rocket.jpg": Entry("Rocket", "Lattice towers against a dark sky. The tower in the dark is missed."),
    "camera.png": Entry("Tripod", "A gray photograph. The legs of the tripod are complete; the camera is missed."),
    "astronaut.png": Entry("Astronaut", "The shuttle and the flag behind her are left out."),
    "grace_hopper.jpg": Entry("Portrait", "Hair and a cap in front of a flag."),
    "raccoon.png": Entry("Raccoon", "A failure: the animal blends into its surroundings, and half of it is missed."),
}
"""File -> its entry."""
SCENES = {
    "bicycle": Entry("Bicycle", "Spokes."),
    "birdcage": Entry("Birdcage", "Bars, and background seen through them."),
    "hair": Entry("Hair", "Hair in the wind."),
    "plant": Entry("Plant", "Blades of grass."),
    "lace": Entry("Lace", "Threads, loops and mesh."),
    "glass": Entry("Glass", "A quarter opaque. The mask takes the bowl for opaque, so the wall stays visible in it."),
}
"""Name of a synthetic scene -> its entry."""
INDEX = {"bicycle": 7, "birdcage": 0, "hair": 37, "plant": 22}
"""Scene -> its index in `SyntheticDataset`; lace and glass are drawn here."""


def lace(size: int) -> Canvas:
    """Draw a doily: rings, rays between them, loops, and a scalloped border."""
    canvas = blank(size)
    middle = np.array([0.5, 0.5])
    for radius, width in ((0.06, 0.012), (0.15, 0.008), (0.26, 0.008), (0.34, 0.012)):
        strokes(canvas, [circle(middle, radius)], width)
    for inner, outer, count in ((0.06, 0.15, 16), (0.15, 0.26, 48)):
        angles = np.arange(count) * 2 * np.pi / count
        for turn in (-1.5, 1.5):
            ends = ring(middle, outer, angles + turn * np.pi / count)
            rays = np.stack([ring(middle, inner, angles), ends], axis=1)
            strokes(canvas, rays, HAIRLINE)
    for radius, size_of_loop, count in ((0.3, 0.036, 24), (0.38, 0.045, 24), (0.43, 0.022, 48)):
        places = ring(middle, radius, np.arange(count) * 2 * np.pi / count)
        strokes(canvas, [circle(place, size_of_loop) for place in places], HAIRLINE)
    return canvas


def glass(size: int) -> Canvas:
    """Draw a wine glass whose bowl is a quarter opaque."""
    canvas = blank(size)
    sides = [
        np.concatenate(
            [
                bezier((0.5 + s * 0.17, 0.08), (0.5 + s * 0.27, 0.42), (0.5 + s * 0.015, 0.52)),
                bezier((0.5 + s * 0.015, 0.52), (0.5 + s * 0.01, 0.85), (0.5 + s * 0.03, 0.88)),
            ]
        )
        for s in (-1, 1)
    ]
    fill(canvas, [np.concatenate([sides[0], sides[1][::-1]])], value=64)
    foot = circle((0.5, 0.9), 0.16, stretch=0.2)
    fill(canvas, [foot], value=64)
    for line in (*sides, foot, circle((0.5, 0.08), 0.17, stretch=0.12)):
        strokes(canvas, [line], 0.011)
    strokes(canvas, [bezier((0.38, 0.16), (0.35, 0.32), (0.42, 0.42))], 0.014)
    return canvas


def scene(name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw a synthetic scene: image (H, W, 3) and mask (H, W), in [0, 1]."""
    if name in INDEX:
        sample = dichoseg.SyntheticDataset(INDEX[name] + 1, size=SIDE, seed=SEED)[INDEX[name]]
        return sample.image.permute(1, 2, 0).numpy(), sample.mask[0].numpy()
    rng = np.random.default_rng([SEED, len(name)])
    draw = {"lace": lace, "glass": glass}[name]
    alpha = synthetic._place(rng, draw(SIDE * synthetic.SUPERSAMPLING), SIDE)
    return synthetic._compose(rng, alpha), alpha


def pixels(path: Path, mode: str = "RGB") -> NDArray[np.float32]:
    """Read a picture as floats in [0, 1]."""
    return np.asarray(np.asarray(Image.open(path).convert(mode)) / 255, np.float32)


def on_squares(cut_out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put a cut-out (H, W, 4) on gray squares."""
    dark = (np.indices(cut_out.shape[:2]) // 16).sum(axis=0)[..., None] % 2
    squares = 0.92 - 0.12 * dark
    return np.asarray(squares + cut_out[..., 3:] * (cut_out[..., :3] - squares), np.float32)


def square(cut_out: NDArray[np.float32], side: int = 240) -> NDArray[np.float32]:
    """Crop a cut-out (H, W, 4) to its middle, shrink it, and put it on gray squares."""
    picture = Image.fromarray((cut_out * 255).round().astype(np.uint8))
    small = np.asarray(ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)) / 255
    return on_squares(small.astype(np.float32))


def make_pictures(weights: str, photographs: Path) -> None:
    """Predict all photographs and scenes, and write the pictures."""
    FOLDER.mkdir(exist_ok=True)
    truths = {name: scene(name) for name in SCENES}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "in").mkdir()
        for file in PHOTOGRAPHS:
            picture = ImageOps.exif_transpose(Image.open(photographs / file)).convert("RGB")
            picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            picture.save(work / "in" / f"{Path(file).stem}.png")
        for name, (image, _) in truths.items():
            Image.fromarray((image * 255).round().astype(np.uint8)).save(work / "in" / f"{name}.png")
        predictor = dichoseg.Predictor(dichoseg.load_model(weights))
        predict_files(predictor, [work / "in"], work / "cut-outs", cutout=True)
        for path in sorted((work / "in").iterdir()):
            Image.open(path).convert("RGB").save(FOLDER / f"{path.stem}.webp", quality=76, method=6)
            cut_out = Image.open(work / "cut-outs" / path.name)
            cut_out.save(FOLDER / f"{path.stem}-cutout.webp", quality=72, alpha_quality=80, method=6)
        rows = []
        for name, (image, mask) in truths.items():
            predicted = pixels(work / "cut-outs" / f"{name}.png", "RGBA")[..., 3]
            print(f"{name}: mae {np.abs(predicted - mask).mean():.4f}")
            row = {"image": image, "mask": mask, "prediction": predicted, "errors": error_map(predicted, mask)}
            rows.append(row)
        contact_sheet(rows, tile=200).save(FOLDER / "errors.webp", quality=80, method=6)
        top, bottom = [
            np.hstack([square(pixels(work / folder / f"{name}.png", mode)) for name in FIRST_SCREEN])
            for folder, mode in (("in", "RGBA"), ("cut-outs", "RGBA"))
        ]
        both = (np.vstack([top, bottom]) * 255).round().astype(np.uint8)
        Image.fromarray(both).save(HERE / "first_screen.jpg", quality=84)


def listing() -> str:
    """Return the gallery's list in HTML: a picture and its cut-out behind a slider, for each entry."""
    entries = {Path(file).stem: entry for file, entry in PHOTOGRAPHS.items()} | SCENES
    figures = []
    for name, entry in entries.items():
        with Image.open(FOLDER / f"{name}.webp") as picture:
            width, height = picture.size
        size, title = f'width="{width}" height="{height}"', escape(entry.title)
        label = f"{title}: width of the image over its cut-out, in percent"
        moved = "this.parentNode.style.setProperty('--cut', this.value + '%')"
        figures.append(
            f'<figure class="before-after">\n'
            f'<div style="aspect-ratio: {width} / {height}">\n'
            f'<img src="{name}-cutout.webp" {size} alt="{title}: cut-out" loading="lazy">\n'
            f'<img src="{name}.webp" {size} alt="{title}: image" loading="lazy">\n'
            f'<input type="range" value="50" aria-label="{label}" oninput="{moved}">\n'
            f"</div>\n"
            f"<figcaption><strong>{title}.</strong> {escape(entry.text)}</figcaption>\n"
            f"</figure>\n"
        )
    return '\n<div class="gallery">\n' + "".join(figures) + "</div>\n\n"


def with_listing(page: str) -> str:
    """Return a page with the list between the two comments."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + listing() + END + rest.split(END)[1]


if __name__ == "__main__":
    if sys.argv[1:]:
        make_pictures(sys.argv[1], Path(sys.argv[2]))
    if PAGE.exists():
        PAGE.write_text(with_listing(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
