"""How long the augmentations take per image, on one thread: `python benchmarks/augmentations.py [SIZE]`."""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import albumentations as A
import cv2
import torch

from dichoseg import SyntheticDataset
from dichoseg.augmentations import RandomBlurPatches, SeededTransform, cpu_augmentation, gpu_augmentation


def seconds_per_image(work: Callable[[], object], *, images: int, repeats: int) -> float:
    """Median time of `work`, divided by its number of images, after one call to warm up."""
    work()
    times = []
    for seed in range(repeats):
        torch.manual_seed(seed)
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times) / images


def main() -> None:
    """Time both pipelines and the blurred patches, each beside plain flips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=int, nargs="?", default=512, help="side of the augmented image, in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images in a batch of the tensor pipeline")
    parser.add_argument("--repeats", type=int, default=20, help="calls, each with another seed")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and OpenCV")
    parser.add_argument("--device", default="cpu", help="where the tensor pipeline runs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)

    size, larger = options.size, round(1.25 * options.size)
    image, mask, _ = SyntheticDataset(1, size=larger, seed=0)[0]
    pixels = {"image": (image.permute(1, 2, 0) * 255).byte().numpy(), "mask": (mask[0] * 255).byte().numpy()}
    small = {"image": pixels["image"][:size, :size], "mask": pixels["mask"][:size, :size]}
    images = image.expand(options.batch, -1, -1, -1).to(options.device)
    masks = mask.expand(options.batch, -1, -1, -1).to(options.device)
    cropped, cropped_masks = images[..., :size, :size].contiguous(), masks[..., :size, :size].contiguous()

    flips = SeededTransform(A.HorizontalFlip(p=1), A.VerticalFlip(p=1))
    transform = cpu_augmentation(size=size)
    device_flips = gpu_augmentation("isnet", horizontal_flip=1, vertical_flip=1)
    augmentation, patches = gpu_augmentation(), RandomBlurPatches()
    groups: dict[str, list[tuple[str, Callable[[], object], int]]] = {
        "albumentations": [
            ("flips", lambda: flips(**small), 1),
            ("dis-tuning", lambda: transform(**pixels), 1),
        ],
        f"tensors, {options.device}": [
            ("flips", lambda: device_flips(cropped, cropped_masks), options.batch),
            ("dis-tuning", lambda: augmentation(images, masks), options.batch),
            ("blur patches alone", lambda: patches(cropped, cropped_masks), options.batch),
        ],
    }
    print(f"{size} x {size} pixels, {options.threads} thread(s), median of {options.repeats}")
    print(f"{'back end':<16}{'steps':<20}{'ms/image':>10}{'images/s':>10}{'x flips':>10}")
    for back_end, rows in groups.items():
        seconds = [seconds_per_image(work, images=count, repeats=options.repeats) for _, work, count in rows]
        for (name, _, _), spent in zip(rows, seconds, strict=True):
            print(f"{back_end:<16}{name:<20}{1000 * spent:>10.2f}{1 / spent:>10.0f}{spent / seconds[0]:>10.1f}")


if __name__ == "__main__":
    main()
