"""Scores, time and memory of the refinement of photographs larger than the network's input.

    python benchmarks/detail.py MODEL --scenes 4 --side 3072             # synthetic scenes with exact masks
    python benchmarks/detail.py MODEL --data DATA --size 192             # photographs, and a small network input
    python benchmarks/detail.py MODEL --data DATA --enlarge 5            # photographs enlarged, blurred and noisy

It compares the map of the whole photograph, `detail="borders"`, `"views"` and `"blend"`, and with `--larger` a network
input of that size. Most photographs with masks are small, so either the network's input is made smaller than they are,
or they are enlarged. Each way runs in a separate process, whose peak of resident memory is reported. Scores are at the
photograph's own size.
"""

import argparse
import concurrent.futures
import multiprocessing
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import dichoseg
from dichoseg.data import open_folders
from dichoseg.inference.predictor import to_uint8
from dichoseg.metrics import Evaluator

METRICS = ("mae", "max_f", "weighted_f", "mba", "boundary_iou")
WAYS = ("plain", "borders", "views", "blend")


@dataclass(frozen=True)
class Job:
    """One way of prediction, and the photographs to test it on."""

    way: str
    model: str
    size: int | None
    data: Path
    enlarge: float
    count: int
    threads: int
    out: Path | None


def photograph(job: Job, dataset: dichoseg.contracts.Samples, index: int) -> tuple[Tensor, Tensor]:
    """Return an image (C, H, W) in [0, 1] and its mask (H, W), enlarged if asked."""
    sample = dataset[index]
    image, mask = sample[0], sample[1][0] > 128 / 255
    if job.enlarge == 1:
        return image, mask
    big = F.interpolate(image[None], scale_factor=job.enlarge, mode="bicubic", align_corners=False)
    noise = torch.randn(big.shape, generator=torch.Generator().manual_seed(index))
    big = (big + 3 / 255 * noise).clamp(0, 1)[0]
    smooth = F.interpolate(mask[None, None].float(), size=tuple(big.shape[-2:]), mode="bilinear", align_corners=False)
    return big, smooth[0, 0] > 0.5


def measure(job: Job) -> tuple[dict[str, float], float, float]:
    """Return scores, seconds per photograph, and the peak of resident memory above that before, in GB."""
    torch.set_num_threads(job.threads)
    training, validation = open_folders(job.data)
    dataset = validation or training
    indices = range(0, len(dataset), max(1, len(dataset) // job.count))[: job.count]
    way, _, larger = job.way.partition(" ")
    model = dichoseg.load_model(job.model)
    options = {} if way in ("plain", "input") else {"detail": way}
    predictor = dichoseg.Predictor(model, size=int(larger) if larger else job.size, **options)
    evaluator, seconds = Evaluator(metrics=METRICS), 0.0
    for index in indices:
        image, mask = photograph(job, dataset, index)
        started = time.perf_counter()
        probability = predictor(image)
        seconds += time.perf_counter() - started
        evaluator.update(to_uint8(probability), mask.numpy())
        if job.out is not None:
            job.out.mkdir(parents=True, exist_ok=True)
            Image.fromarray(to_uint8(probability)).save(job.out / f"{index:04d}-{job.way.replace(' ', '-')}.png")
            pixels = to_uint8(image.permute(1, 2, 0).numpy())
            Image.fromarray(pixels).save(job.out / f"{index:04d}-image.jpg", quality=92)
            Image.fromarray(mask.numpy()).save(job.out / f"{index:04d}-mask.png")
    return evaluator.compute(), seconds / len(indices), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def draw_scenes(folder: Path, count: int, side: int) -> None:
    """Write synthetic scenes as a folder of images and masks."""
    for sample in (dichoseg.SyntheticDataset(count, size=side)[index] for index in range(count)):
        for kind, pixels in (("im", sample.image), ("gt", sample.mask)):
            (folder / kind).mkdir(exist_ok=True)
            levels = to_uint8(pixels.permute(1, 2, 0).squeeze(2).numpy())
            Image.fromarray(levels).save(folder / kind / f"{sample.name}.png", compress_level=1)


def main() -> None:
    """Parse the options, run each way, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, help="folder of images and masks; default: synthetic scenes")
    parser.add_argument("--scenes", type=int, default=4, help="number of synthetic scenes")
    parser.add_argument("--side", type=int, default=3072, help="side of the synthetic scenes, in pixels")
    parser.add_argument("--size", type=int, help="side of the network's input; default: the model's own")
    parser.add_argument("--larger", type=int, help="also try a network input of this side")
    parser.add_argument("--enlarge", type=float, default=1, help="factor by which photographs are enlarged")
    parser.add_argument("--count", type=int, default=100, help="number of photographs of DATA, evenly spread")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--out", type=Path, help="folder for the maps")
    options = vars(parser.parse_args())
    ways, larger, scenes, side = (options.pop(name) for name in ("ways", "larger", "scenes", "side"))
    ways = [*ways, *([f"input {larger}"] if larger else [])]
    drawn = tempfile.TemporaryDirectory()
    if options["data"] is None:
        options["data"] = Path(drawn.name)
        draw_scenes(options["data"], scenes, side)
    print(f"{'':14}" + "".join(f"{name:>14}" for name in (*METRICS, "seconds", "peak GB")))
    for way in ways:
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
            scores, seconds, peak = process.submit(measure, Job(way=way, **options)).result()
        row = "".join(f"{scores[name]:14.4f}" for name in METRICS)
        print(f"{way:14}{row}{seconds:14.2f}{peak:14.2f}", flush=True)


if __name__ == "__main__":
    main()
