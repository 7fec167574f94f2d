"""Images loaded per second and core, compared with a plain albumentations loop, and the time of each step.

    python benchmarks/loading.py DATA/im DATA/gt [--size 512] [--first 200] [--train]

Each way decodes, resizes to a square, flips at random and returns batches of float tensors in [0, 1]. All ways run in
turn, with one thread per process; ratios are of medians. The plain loop resizes 8-bit pixels with OpenCV. So does
dichoseg with the same transforms; without them it resizes in floating point, like the published model, and flips in
batches. `--train` also times the training of IS-Net on this machine, the speed that loading must reach.
"""

import argparse
import dataclasses
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import albumentations as A
import cv2
import torch
from torch.utils.data import DataLoader, Dataset

import dichoseg
from dichoseg.augmentations import SeededTransform, gpu_augmentation
from dichoseg.data.decoding import image_pixels, open_image, to_unit
from dichoseg.data.mask_files import mask_pixels
from dichoseg.runtime.memory import keep_memory
from dichoseg.training import Batches
from dichoseg.training.samples import resized_levels, stacked


class Plain(Dataset[Any]):
    """Data set as in tutorials: images read by OpenCV, then albumentations."""

    def __init__(self, files: list[tuple[str, Path, Path]], transforms: list[A.BasicTransform]) -> None:
        self.files = files
        self.pipeline = A.Compose([*transforms, A.ToTensorV2()])

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read an image (3, H, W) and its mask (1, H, W) in [0, 1]."""
        _, image_path, mask_path = self.files[index]
        image = cv2.cvtColor(cv2.imread(str(image_path)), cv2.COLOR_BGR2RGB)
        result = self.pipeline(image=image, mask=cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE))
        return result["image"].float() / 255, result["mask"][None].float() / 255


def seconds(work: Callable[[], Iterable[object]]) -> float:
    """Return the time of iterating over the result of one call."""
    started = time.perf_counter()
    for _ in work():
        pass
    return time.perf_counter() - started


def parts(data: dichoseg.FolderDataset, size: int) -> dict[str, float]:
    """Return the milliseconds per image of each step of IS-Net's own resize, one sample after the other."""
    spent: dict[str, float] = defaultdict(float)
    for _, image_path, mask_path in data.files:
        ticks = [("", time.perf_counter())]
        picture = open_image(image_path)
        ticks.append(("decode the image", time.perf_counter()))
        stencil = open_image(mask_path)
        ticks.append(("decode the mask", time.perf_counter()))
        image, mask = image_pixels(picture), mask_pixels(stencil, mask_path, foreground=None)
        ticks.append(("to tensors of 8 bits", time.perf_counter()))
        image = resized_levels(image, (size, size))
        ticks.append(("resize the image", time.perf_counter()))
        mask = resized_levels(mask, (size, size))
        ticks.append(("resize the mask", time.perf_counter()))
        image, mask = stacked([image]), stacked([mask])
        ticks.append(("stack", time.perf_counter()))
        to_unit(image), to_unit(mask)
        ticks.append(("to floats", time.perf_counter()))
        for (_, before), (name, after) in zip(ticks, ticks[1:], strict=False):
            spent[name] += after - before
    return {name: 1000 * time_spent / len(data) for name, time_spent in spent.items()}


def main() -> None:
    """Time the ways, the steps of one of them, and training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("masks", type=Path, help="folder of masks")
    parser.add_argument("--size", type=int, default=512, help="side of the result, in pixels")
    parser.add_argument("--first", type=int, default=200, help="number of images to load")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--antialias", action="store_true", help="shrink with antialiasing, unlike IS-Net as published")
    parser.add_argument("--keep-memory", action="store_true", help="as dichoseg train does")
    parser.add_argument("--train", action="store_true", help="time training too, batches of two, all threads")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.keep_memory:
        print("memory kept" if keep_memory() else "memory not kept: no glibc")

    model = dichoseg.create_model("isnet")
    changes = {"antialias": True, "to_uint8": False} if options.antialias else {}
    model.preprocessing = dataclasses.replace(model.preprocessing, size=options.size, **changes)
    data = dichoseg.FolderDataset(options.images, options.masks)
    data = data.without([name for name, *_ in data.files[options.first :]])
    transforms = [A.Resize(options.size, options.size), A.HorizontalFlip(p=0.5)]
    transformed = data.without([])
    transformed.transform = SeededTransform(*transforms)
    flips = gpu_augmentation("isnet")
    batch_size = options.batch_size

    def loop(workers: int) -> Iterable[object]:
        return DataLoader(Plain(data.files, transforms), batch_size=batch_size, shuffle=True, num_workers=workers)

    def with_transforms(workers: int) -> Iterable[object]:
        return Batches(transformed, model, batch_size=batch_size, workers=workers).epoch(1)

    def as_published(workers: int) -> Iterable[object]:
        return Batches(data, model, batch_size=batch_size, workers=workers, augmentation=flips).epoch(1)

    def unflipped(workers: int) -> Iterable[object]:
        return Batches(data, model, batch_size=batch_size, workers=workers).epoch(1)

    ways = {
        "albumentations loop": loop,
        "dichoseg, same transforms": with_transforms,
        "dichoseg, IS-Net's own resize": as_published,
        "the same, not flipped": unflipped,
    }
    print(f"{len(data)} images to {options.size} pixels, batches of {batch_size}, {cores} cores")
    print(f"{'':30}{'workers':>8}{'images/s':>10}{'per core':>10}{'times the loop':>16}")
    for workers in options.workers:
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.repeats + 1):  # the first is a warm-up
            for name, way in ways.items():
                times[name].append(seconds(lambda: way(workers)))  # noqa: B023 (called at once)
        medians = {name: statistics.median(spent[1:]) for name, spent in times.items()}
        for name, spent in medians.items():
            rate = len(data) / spent
            share = rate / min(max(workers, 1), cores)
            print(f"{name:30}{workers:8}{rate:10.1f}{share:10.1f}{medians['albumentations loop'] / spent:16.2f}")

    print("\nIS-Net's own resize of whole images, step by step: milliseconds an image")
    steps = parts(data, options.size)
    for name, spent in steps.items():
        print(f"{name:30}{spent:8.2f}{spent / sum(steps.values()):10.0%}")

    if options.train:
        torch.set_num_threads(cores)
        few = [(torch.rand(3, options.size, options.size), torch.ones(1, options.size, options.size))] * 16
        history = dichoseg.fit(model, few, epochs=2, batch_size=2)
        print(f"\nIS-Net trains on {len(few) / history[-1]['seconds']:.2f} images/s")


if __name__ == "__main__":
    main()
