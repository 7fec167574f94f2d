"""Time of the augmentations per image, on one thread: `python benchmarks/augmentations.py [SIZE]`.

All rows of a table take turns, so that other load on the machine affects each equally. The figures are means over many
draws, since a rarely drawn step may be the most expensive. Tensors are float32 batches, albumentations' images uint8
arrays, both in memory and at the input size of the steps: decoding, resizing and normalization are not included.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch

from dichoseg import SyntheticDataset
from dichoseg.augmentations import (
    BlurPatchesTransform,
    RandomBlurPatches,
    RandomBorderCrop,
    RandomCrop,
    cpu_augmentation,
    gpu_augmentation,
)

Row = tuple[str, Callable[[], object], int]
PATCHES: dict[str, RandomBlurPatches] = {
    "none (a copy)": RandomBlurPatches(0),
    "box": RandomBlurPatches(),
    "gaussian": RandomBlurPatches(kind="gaussian"),
    "motion": RandomBlurPatches(kind="motion"),
    "box, kernel x 3": RandomBlurPatches(kernel=(0.03, 0.09)),
    "gaussian, kernel x 3": RandomBlurPatches(kernel=(0.03, 0.09), kind="gaussian"),
    "motion, kernel x 3": RandomBlurPatches(kernel=(0.03, 0.09), kind="motion"),
    "box, soft edges": RandomBlurPatches(feather=0.5),
    "box, anywhere": RandomBlurPatches(where="anywhere"),
    "box, largest object": RandomBlurPatches(objects="largest"),
}


def table(title: str, rows: list[Row], *, rounds: int) -> None:
    """Run the rows (name, work, images of one call) in turn; print their means and the ratios to the first row."""
    spent: dict[str, list[float]] = {name: [] for name, _, _ in rows}
    for seed in range(rounds + 1):  # the first round warms up
        for name, work, images in rows:
            torch.manual_seed(seed)
            started = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent[name].append((time.perf_counter() - started) / images)
    means = {name: statistics.mean(values[1:]) for name, values in spent.items()}
    print(f"\n{title:<32}{'ms/image':>10}{'images/s':>10}{'time':>8}")
    for name, mean in means.items():
        print(f"{name:<32}{1000 * mean:>10.1f}{1 / mean:>10.1f}{mean / means[rows[0][0]]:>7.1f}x")


def main() -> None:
    """Time the presets through both libraries, the blurred patches and the crops."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, nargs="?", default=1024, help="side of the augmented image, in pixels")
    parser.add_argument("--batch", type=int, default=2, help="images in a batch of tensors")
    parser.add_argument("--rounds", type=int, default=20, help="calls of each, every one with another seed")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and OpenCV")
    parser.add_argument("--device", default="cpu", help="device of the tensors")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    size, larger = options.size, round(1.25 * options.size)
    image, mask, _ = SyntheticDataset(1, size=larger, seed=0)[0]
    arrays = {"image": (image.permute(1, 2, 0) * 255).byte().numpy(), "mask": (mask[0] * 255).byte().numpy()}
    whole = [part.expand(options.batch, -1, -1, -1).to(options.device).contiguous() for part in (image, mask)]
    cropped = [part[..., :size, :size].contiguous() for part in whole]
    small = {name: array[:size, :size].copy() for name, array in arrays.items()}
    print(f"{size}x{size}, {options.threads} thread(s), {options.device}, {options.rounds} rounds")

    for preset in ("isnet", "dis_tuning", "strong"):
        transform, augmentation = cpu_augmentation(preset, size=size), gpu_augmentation(preset)
        pixels, tensors = (arrays, whole) if augmentation.input_scale > 1 else (small, cropped)
        rows: list[Row] = [
            ("albumentations", lambda run=transform, given=pixels: run(**given), 1),
            (f"Kornia, {options.device}", lambda run=augmentation, given=tensors: run(*given), options.batch),
        ]
        table(preset, rows, rounds=options.rounds)
    rows = [(name, lambda run=run: run(*cropped), options.batch) for name, run in PATCHES.items()]
    twin = BlurPatchesTransform()
    rows.append(("box, BlurPatchesTransform", lambda: twin(**small), 1))
    table("blurred patches", rows, rounds=options.rounds)
    crops = {"RandomCrop": RandomCrop(), "RandomBorderCrop": RandomBorderCrop()}
    table(
        "crops",
        [(name, lambda run=run: run(*whole), options.batch) for name, run in crops.items()],
        rounds=options.rounds,
    )


if __name__ == "__main__":
    main()
