"""Speed, memory and faithfulness of a model in each runtime and precision on this machine."""

from __future__ import annotations

import dataclasses
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..checking import whole
from ..contracts import Model
from ..data.decoding import read_image
from ..data.finding import images_and_others
from ..export.int8 import Calibration
from ..export.runtimes import installed_runtimes
from ..runtime.device import Precision, choose_device, inference_dtype
from ..runtime.memory import keep_memory, most_memory_used
from ..runtime.threads import torch_threads
from ..scenes.synthetic import SyntheticDataset
from ..weights.loading import load_model
from .exported import Runtime
from .predictor import Map, Predictor

T = TypeVar("T")
SCENES = 3
"""Number of synthetic scenes, if no photographs are given."""
SIDE = 1024
"""Side of synthetic scenes for a model without a size of its own, in pixels."""
MOST = 8
"""Number of photographs of each folder that are used."""
FAITHFUL = 2e-3
"""Largest mean difference in probability from torch in float32 of a way that is recommended."""
CLOSE = 1.05
"""Ratio of latencies below which torch is preferred, since it needs no export."""


class Way(NamedTuple):
    """Runtime and precision in which a model runs."""

    runtime: Runtime
    precision: Precision


REFERENCE = Way("torch", "float32")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Measurements of one way to run a model, in a process of its own."""

    runtime: Runtime
    precision: Precision
    """Precision as an argument of `Predictor`."""
    dtype: str
    """Precision that it means here."""
    first: float
    """Seconds from the model to the first map: preparation, or opening of an exported file, and the first run."""
    latency: float
    """Median of the seconds for one photograph: resizing, network and resizing back."""
    images_per_second: float
    """Photographs per second, over all repeats."""
    memory: float
    """Peak memory in GB: of the process, or allocated by torch on a GPU."""
    mean_difference: float
    """Mean absolute difference in probability from torch in float32."""
    max_difference: float
    """Largest difference in probability from torch in float32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Ways to run a model on this machine, and those that failed."""

    timings: tuple[Timing, ...]
    failures: dict[str, str]
    """Way, such as `openvino float32` -> reason."""

    @property
    def best(self) -> Timing:
        """The fastest way whose maps are those of float32, up to 0.002 on average."""
        faithful = [timing for timing in self.timings if timing.mean_difference <= FAITHFUL]
        fastest = min(timing.latency for timing in faithful)
        close = [timing for timing in faithful if timing.latency <= CLOSE * fastest]
        return min(close, key=lambda timing: (timing.runtime != "torch", timing.latency))

    def speedup(self, timing: Timing) -> float:
        """Return how many times as fast as torch in float32 a way is."""
        (reference,) = [each for each in self.timings if (each.runtime, each.precision) == REFERENCE]
        return reference.latency / timing.latency

    def text(self) -> str:
        """Return a table, and a line for each way that failed."""
        head = f"{'runtime':13}{'precision':11}{'first s':>9}{'latency s':>11}{'images/s':>10}{'memory GB':>11}"
        lines = [f"{head}{'mean diff':>11}{'max diff':>10}"]
        for one in self.timings:
            line = f"{one.runtime:13}{one.dtype:11}{one.first:9.2f}{one.latency:11.3f}{one.images_per_second:10.2f}"
            lines.append(f"{line}{one.memory:11.2f}{one.mean_difference:11.1e}{one.max_difference:10.1e}")
        return "\n".join(lines + [f"{way}: {reason}" for way, reason in self.failures.items()])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a JSON file."""
        return {**dataclasses.asdict(self), "best": dataclasses.asdict(self.best)}


def benchmark(
    source: str | Path,
    photographs: Sequence[str | Path] = (),
    *,
    size: int | tuple[int, int] | None = None,
    repeat: int = 3,
    threads: int | None = None,
    device: str | None = None,
    calibration: Calibration | None = None,
) -> Benchmark:
    """Time a model in every runtime and precision of this machine, each in a process of its own.

    A script that calls it needs `if __name__ == "__main__":`. Models are exported before, once, for the runtimes that
    need it. Photographs are read before, and nothing is written.

    Args:
        source: Model, as for `load_model`.
        photographs: Photographs, or folders, of which eight photographs each are used. Default: three synthetic
            scenes of the network's size.
        size: Size of the model's input in pixels: (height, width), or an int for a square. Default: the model's own.
        repeat: Number of times that each photograph is predicted, after the first one once.
        threads: Number of threads on a CPU. Default: torch's.
        device: Device of torch, such as `"cuda"`. Default: CUDA, else Apple's MPS, else the CPU. Other runtimes use the
            CPU.
        calibration: Photographs to calibrate 8 bits on, as for `Predictor`; without them, 8 bits are not measured.

    Raises:
        RuntimeError: torch cannot run the model in float32.
    """
    whole("repeat", repeat, least=1)
    paths = [path for each in map(Path, photographs) for path in _photographs(each)]
    timings, failures = [], {}
    with tempfile.TemporaryDirectory() as folder:
        job = _Job(str(source), paths, size, repeat, threads, device, calibration, Path(folder))
        for way in _ways(device) + ([Way("onnxruntime", "int8")] if calibration is not None else []):
            try:
                if way.runtime != "torch":
                    _alone(_prepare, job, way)
                timings.append(_alone(_measure, job, way))
            except Exception as error:  # of any runtime; the others are measured nevertheless
                if way == REFERENCE:
                    raise
                failures[" ".join(way)] = str(error) or type(error).__name__
    return Benchmark(timings=tuple(timings), failures=failures)


class _Job(NamedTuple):
    source: str
    paths: list[Path]
    size: int | tuple[int, int] | None
    repeat: int
    threads: int | None
    device: str | None
    calibration: Calibration | None
    folder: Path
    """Folder of the reference's maps."""


def _photographs(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = images_and_others(path)[0][:MOST]
    if not found:
        raise ValueError(f"no photographs in {path}")
    return found


def _ways(device: str | None) -> list[Way]:
    """Return the reference, and what differs from it: lower precision if the hardware has it, other runtimes."""
    cpu = torch.device("cpu")
    ways = [REFERENCE]
    if inference_dtype("auto", choose_device(device, cpu)) != torch.float32:
        ways.append(Way("torch", "auto"))
    for runtime in installed_runtimes():
        ways.append(Way(runtime, "float32"))
        if runtime == "openvino" and inference_dtype("auto", cpu) != torch.float32:
            ways.append(Way(runtime, "auto"))
    return ways


def _alone(call: Callable[[_Job, Way], T], job: _Job, way: Way) -> T:
    """Call a function in a new process, so that memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(call, job, way).result()


def _prepare(job: _Job, way: Way) -> None:
    """Export the model, so that its measurement opens the file."""
    with torch_threads(job.threads):
        _predictor(load_model(job.source, size=job.size), job, way)


def _measure(job: _Job, way: Way) -> Timing:
    keep_memory()  # as `dichoseg predict` does
    with torch_threads(job.threads):
        model = load_model(job.source, size=job.size)
        images = _images(job.paths, max(model.preprocessing.height_width or (SIDE,)))
        started = time.perf_counter()
        predictor = _predictor(model, job, way)
        predictor(images[0])
        first = time.perf_counter() - started
        seconds = []
        for image in images * job.repeat:
            started = time.perf_counter()
            predictor(image)
            seconds.append(time.perf_counter() - started)
        memory = most_memory_used(predictor.device.type)
        maps = [predictor(image) for image in images]
    differences = [_difference(one, job.folder / f"{index}.npy") for index, one in enumerate(maps)]
    return Timing(
        runtime=way.runtime,
        precision=way.precision,
        dtype=_dtype(way, predictor.device),
        first=first,
        latency=statistics.median(seconds),
        images_per_second=len(seconds) / sum(seconds),
        memory=memory,
        mean_difference=statistics.fmean(mean for mean, _ in differences),
        max_difference=max(largest for _, largest in differences),
    )


def _predictor(model: Model, job: _Job, way: Way) -> Predictor:
    device = choose_device(job.device, torch.device("cpu")) if way.runtime == "torch" else None
    calibration = job.calibration if way.precision == "int8" else None
    return Predictor(model, device=device, precision=way.precision, runtime=way.runtime, calibration=calibration)


def _dtype(way: Way, device: torch.device) -> str:
    is_int8 = way.precision == "int8"
    return "int8" if is_int8 else str(inference_dtype(way.precision, device)).removeprefix("torch.")


def _images(paths: Sequence[Path], side: int) -> list[Tensor]:
    """Return photographs, or synthetic scenes, as tensors (3, H, W) in [0, 1]."""
    if paths:
        return [read_image(path) for path in paths]
    scenes = SyntheticDataset(SCENES, size=max(side, 32))
    return [scenes[index].image for index in range(SCENES)]


def _difference(probability: Map, path: Path) -> tuple[float, float]:
    """Return mean and largest difference from the map in a file, which the first way writes."""
    if not path.exists():
        np.save(path, probability)
    difference = np.abs(np.load(path) - probability)
    return float(difference.mean()), float(difference.max())
