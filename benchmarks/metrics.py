"""Time of the metrics per image and differences of their values, compared with PySODMetrics, on one thread.

It needs PySODMetrics, best in an environment of its own, but neither PyTorch nor the rest of the package. OpenCV must
be older than 4.13, which changed polygons and with them the HCE of PySODMetrics:

    python -m venv bench
    bench/bin/pip install pysodmetrics==1.6.2 "opencv-python-headless<4.13"
    PYTHONPATH=src bench/bin/python benchmarks/metrics.py [--memory]
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
from numpy.typing import NDArray

from dichoseg.metrics import Evaluator, skeleton

cv2.setNumThreads(1)
warnings.filterwarnings("ignore", module="py_sod_metrics", message="This class will be removed")

SIZES = (512, 512), (1024, 1024), (2048, 2048), (2000, 3000)
LARGE = 4000, 6000
FAST = ("MAE", "Fmeasure", "Emeasure", "Smeasure")
PAPER = (*FAST, "WeightedFmeasure", "HumanCorrectionEffortMeasure")

Image = NDArray[np.uint8]
Numbers = dict[str, Any]


def draw_mask(height: int, width: int, *, seed: int = 0) -> Image:
    """Draw thin structures, scaled with the image: a fence, wheels with spokes, a body with hair, rigging."""
    generator = np.random.default_rng(seed)
    scale = min(height, width) / 512
    thin, thick = max(1, round(scale)), max(2, round(3 * scale))
    mask = np.zeros((height, width), np.uint8)

    fence = np.zeros((height // 2, width // 2), np.uint8)
    for left in range(-height, width, round(14 * scale)):
        cv2.line(fence, (left, 0), (left + height // 2, height // 2), 255, thin)
        cv2.line(fence, (left + height // 2, 0), (left, height // 2), 255, thin)
    mask[: height // 2, : width // 2] = fence

    for x, y, radius in ((0.25, 0.75, 90), (0.72, 0.78, 75), (0.55, 0.92, 30)):
        center, radius = (round(x * width), round(y * height)), round(radius * scale)
        cv2.circle(mask, center, radius, 255, thick)
        cv2.circle(mask, center, radius // 2, 255, thin)
        for angle in np.linspace(0, 2 * np.pi, 25)[:-1]:
            end = round(center[0] + radius * np.cos(angle)), round(center[1] + radius * np.sin(angle))
            cv2.line(mask, center, end, 255, thin)

    center, axes = np.array((0.75 * width, 0.3 * height)), np.array((70, 50)) * scale
    cv2.ellipse(mask, center.round().astype(int).tolist(), axes.round().astype(int).tolist(), 0, 0, 360, 255, -1)
    for angle in generator.uniform(0, 2 * np.pi, 150):
        turns = angle + generator.normal(0, 0.15, 24).cumsum()
        steps = 4 * scale * np.stack((np.cos(turns), np.sin(turns)), axis=1)
        hair = center + axes * (np.cos(angle), np.sin(angle)) + steps.cumsum(axis=0)
        cv2.polylines(mask, [hair.round().astype(np.int32)], False, 255, max(1, round(0.6 * scale)))

    for start, end in generator.uniform(0, 1, (8, 2, 2)) * (width, height):
        cv2.line(mask, start.astype(int).tolist(), end.astype(int).tolist(), 255, thin)
    return mask


def draw_pair(height: int, width: int, *, seed: int = 0) -> tuple[Image, Image]:
    """Draw a mask and a soft prediction of it with missed parts, false regions and noise on every pixel."""
    mask = draw_mask(height, width, seed=seed)
    generator = np.random.default_rng(seed + 1)
    cells = round(24 * height / min(height, width)), round(24 * width / min(height, width))
    drift = generator.normal(0, 60, cells).astype(np.float32)
    drift = cv2.resize(drift, (width, height), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(mask, (0, 0), min(height, width) / 512).astype(np.float32) + drift
    noise = generator.normal(0, 4, mask.shape).astype(np.float32)
    return np.clip(2 * (soft - 128) + 128 + noise, 0, 255).round().astype(np.uint8), mask


def averages(metrics: str, prediction: Image, mask: Image, *, lines: NDArray[np.bool_] | None = None) -> Numbers:
    """Return the values of our `Evaluator` for a pair: a metric or those of a group, and the curves."""
    evaluator = Evaluator(metrics=(metrics,))
    evaluator.update(prediction, mask, skeleton=lines)
    return {**evaluator.compute(), **evaluator.curves()}


def reference(classes: tuple[str, ...], prediction: Image, mask: Image) -> Numbers:
    """Return the values of these classes of PySODMetrics for a pair, by our names."""
    import py_sod_metrics

    results: dict[str, Any] = {}
    for name in classes:
        metric = getattr(py_sod_metrics, name)()
        metric.step(prediction, mask)
        results |= metric.get_results()
    names = {"mae": "mae", "sm": "s_measure", "wfm": "weighted_f", "hce": "hce"}
    numbers: Numbers = {ours: results[theirs] for theirs, ours in names.items() if theirs in results}
    for measure in ("f", "e"):
        if found := results.get(f"{measure}m"):
            numbers |= {f"adaptive_{measure}": found["adp"], measure: found["curve"]}
            numbers |= {f"max_{measure}": found["curve"].max(), f"mean_{measure}": found["curve"].mean()}
    return numbers


def rows_of(prediction: Image, mask: Image) -> dict[str, tuple[Callable[[], Numbers], Callable[[], Numbers]]]:
    """Return row of the table -> our function for its numbers, and that of PySODMetrics."""
    pair = prediction, mask
    lines = skeleton(mask)
    return {
        "MAE, F, E, S": (partial(averages, "fast", *pair), partial(reference, FAST, *pair)),
        "weighted F": (partial(averages, "weighted_f", *pair), partial(reference, ("WeightedFmeasure",), *pair)),
        "HCE": (partial(averages, "hce", *pair), partial(reference, PAPER[-1:], *pair)),
        "HCE, skeleton cached": (partial(averages, "hce", *pair, lines=lines), partial(reference, PAPER[-1:], *pair)),
        "all of them": (partial(averages, "paper", *pair), partial(reference, PAPER, *pair)),
    }


def timed(work: Callable[[], Numbers]) -> tuple[float, Numbers]:
    """Return the seconds of a call, and its result."""
    started = time.perf_counter()
    numbers = work()
    return time.perf_counter() - started, numbers


def print_times(repeats: int) -> None:
    """Time both libraries in turn, on the same pairs, and compare their values."""
    print(f"{'pixels':<14}{'metrics':<22}{'ours, ms':>10}{'PySODMetrics, ms':>18}{'ratio':>8}{'difference':>12}")
    for work in rows_of(*draw_pair(*SIZES[0]))["all of them"]:
        work()
    for height, width in SIZES:
        rows = rows_of(*draw_pair(height, width))
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
        differences = dict.fromkeys(rows, 0.0)
        for _ in range(repeats if height * width < 2_000_000 else (repeats + 1) // 2):
            for name, (ours, theirs) in rows.items():
                (our_time, our_numbers), (their_time, their_numbers) = timed(ours), timed(theirs)
                seconds[name].append((our_time, their_time))
                apart = [float(np.abs(our_numbers[key] - value).max()) for key, value in their_numbers.items()]
                differences[name] = max(differences[name], *apart)
        for name, times in seconds.items():
            our_time, their_time = (1000 * statistics.median(column) for column in zip(*times, strict=True))
            print(
                f"{f'{width} x {height}':<14}{name:<22}{our_time:>10.1f}{their_time:>18.1f}"
                f"{their_time / our_time:>8.1f}{differences[name]:>12.1g}"
            )


def save_pair(path: Path) -> None:
    """Draw the large pair and save it."""
    np.save(path, np.stack(draw_pair(*LARGE)))


def peak_memory(path: Path, library: str) -> float:
    """Return the peak memory of this process in MiB, after a library, or none, has evaluated the saved pair."""
    prediction, mask = np.load(path)
    if library == "ours":
        averages("paper", prediction, mask)
    elif library == "PySODMetrics":
        reference(PAPER, prediction, mask)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def print_memory() -> None:
    """Evaluate one large pair in a fresh process for each library; another one draws it."""
    print(f"peak memory of one pair of {LARGE[1]} x {LARGE[0]} pixels, all metrics, MiB")
    with (
        tempfile.TemporaryDirectory() as folder,
        multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool,
    ):
        path = Path(folder, "pair.npy")
        pool.apply(save_pair, (path,))
        for library in ("none, pair loaded", "ours", "PySODMetrics"):
            print(f"{library:<22}{pool.apply(peak_memory, (path, library)):>10.0f}")


def main() -> None:
    """Print the table of times, or the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds of both libraries; half above two megapixels")
    parser.add_argument("--memory", action="store_true", help="peak memory of a large pair instead of times")
    options = parser.parse_args()
    print(f"one thread, PySODMetrics {version('pysodmetrics')}, NumPy {np.__version__}, OpenCV {cv2.__version__}")
    if options.memory:
        print_memory()
    else:
        print_times(options.repeats)


if __name__ == "__main__":
    main()
