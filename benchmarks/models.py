"""Cost of the networks that have published weights by name: parameters, processor time and memory, as JSON.

    python benchmarks/models.py [--out benchmarks/results/models.json] [--repeats 3] [--only isnet]

Each network, at each size of its weights, runs in a process of its own, with random weights, since they do not change
the cost, and on one thread in the precision that `dichoseg predict` chooses. The time is that of the processor (of one
core) for one synthetic scene of the input's size, from the image to the map: the least of the repeats, after a warm-up.
Processor time depends less on other programs of the machine than time on the wall. Memory is the peak of the process.
`docs/assets/models.py` makes a table of the results.
"""

import argparse
import json
import multiprocessing
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

import dichoseg
from dichoseg.runtime.device import inference_dtype
from dichoseg.runtime.memory import keep_memory, most_memory_used
from dichoseg.runtime.threads import torch_threads
from dichoseg.weights.catalogue import RECORDS

OUT = Path(__file__).parent / "results/models.json"


def name_of(network: str, size: tuple[int, int]) -> str:
    """Return the key of a network at a size (height, width), such as `isnet 1024x1024`."""
    return f"{network} {size[0]}x{size[1]}"


def model_of(network: str, size: int | tuple[int, int] | None = None) -> dichoseg.contracts.Model:
    """Create the network of a record of weights."""
    return dichoseg.create_model(network, size=size)


def wanted() -> dict[str, tuple[str, Any]]:
    """Return the networks and sizes of all weights by name: key -> network, size."""
    networks = {}
    for record in RECORDS:
        network, size = record.network, record.preprocessing.get("size")
        with torch.device("meta"):
            preprocessing = model_of(network, size).preprocessing
        networks.setdefault(name_of(network.partition("(")[0], preprocessing.height_width), (network, size))
    return networks


def measure(network: str, size: int | tuple[int, int] | None, repeats: int) -> dict[str, Any]:
    """Measure one network, in this process."""
    keep_memory()  # as `dichoseg predict` does
    with torch_threads(1):
        model = model_of(network, size)
        height, width = model.preprocessing.height_width
        image = torch.rand(3, height, width)
        predictor = dichoseg.Predictor(model, device="cpu")
        seconds = []
        for _ in range(1 + repeats):
            started = time.process_time()
            predictor(image)
            seconds.append(time.process_time() - started)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(min(seconds[1:]), 2),
        "memory_gb": round(most_memory_used("cpu"), 1),
    }


def main() -> None:
    """Measure the networks, and write the file after each of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="keys that begin so")
    options = parser.parse_args()
    results = json.loads(options.out.read_text())["networks"] if options.out.exists() else {}
    for key, (network, size) in wanted().items():
        if not key.startswith(options.only):
            continue
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            results[key] = process.submit(measure, network, size, options.repeats).result()
        print(key, results[key], flush=True)
        machine = {
            "processor": processor(),
            "precision": str(inference_dtype("auto", torch.device("cpu"))).removeprefix("torch."),
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
        options.out.write_text(json.dumps({"machine": machine, "networks": results}, indent=1) + "\n")


def processor() -> str:
    """Return the processor's name, as Linux states it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
