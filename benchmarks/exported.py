"""Speed and memory of a network in dichoseg and, exported, in onnxruntime, on one machine in one run.

    python benchmarks/exported.py birefnet_lite [--size 1024] [--repeats 3] [--threads 2] [--ways plain float32 native]

Weights are random. Times are of one image through the network, from the normalized input to the probability: the median
of the repeats, after one to warm up. Ways: `plain` is the module as it is created, `float32` and `bfloat16` are a
`Predictor`'s network, `native` and `grid_sample` are onnxruntime with the exported file, whose deformable convolutions,
if the network has any, are ONNX's operator or samples of a grid. Each way runs in a process of its own, whose peak of
resident memory is reported.
"""

import argparse
import concurrent.futures
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import dichoseg
from dichoseg.export import export_onnx
from dichoseg.runtime.memory import keep_memory

WAYS = ("plain", "float32", "bfloat16", "native", "grid_sample")


def network(way: str, folder: Path, size: int, threads: int) -> Callable[[], object]:
    """Return a function that runs the network once."""
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) - 0.5
    if way in ("native", "grid_sample"):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(folder / f"{way}.onnx", settings, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: image.numpy()}
        return lambda: session.run(None, feed)[0]
    model = dichoseg.load_model(folder / "model").eval()
    if way == "plain":
        return torch.inference_mode()(lambda: model(image).logits.sigmoid())
    keep_memory()  # as dichoseg predict does
    predictor = dichoseg.Predictor(model, precision="bfloat16" if way == "bfloat16" else "float32", size=size)
    return torch.inference_mode()(lambda: predictor.probability(image.to(predictor.dtype)))


def measure(way: str, folder: Path, size: int, threads: int, repeats: int) -> tuple[float, float, np.ndarray]:
    """Return seconds, peak of resident memory in GB, and the probabilities."""
    torch.set_num_threads(threads)
    run = network(way, folder, size, threads)
    times = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return statistics.median(times[1:]), peak, np.asarray(result, np.float32)


def prepare(name: str, folder: Path, size: int, ways: tuple[str, ...]) -> None:
    """Save a network with random weights, and export it."""
    torch.manual_seed(0)
    options = {"base_size": size} if name == "inspyrenet" else {"size": size}
    model = dichoseg.create_model(name, **options)
    dichoseg.save_model(model, folder / "model")
    for way in ways:
        if way in ("native", "grid_sample"):
            export_onnx(model, folder / f"{way}.onnx", deform_conv=way)


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
            process.submit(prepare, options.network, folder, options.size, options.ways).result()
        print(f"{options.network}, {options.size} pixels, {options.threads} threads, torch {torch.__version__}")
        print(f"{'':14}{'seconds':>10}{'x first':>10}{'peak GB':>10}{'difference':>12}")
        first = None
        for way in options.ways:
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
                rest = (folder, options.size, options.threads, options.repeats)
                seconds, peak, result = process.submit(measure, way, *rest).result()
            first = first or (seconds, result)
            apart = float(np.abs(result - first[1]).max())
            print(f"{way:14}{seconds:10.2f}{first[0] / seconds:10.2f}{peak:10.2f}{apart:12.1g}", flush=True)


if __name__ == "__main__":
    main()
