"""Forecast of the memory that training takes, and the measured peak, for networks, sizes and ways to save.

    python benchmarks/memory.py [--networks birefnet birefnet_lite] [--sizes 512 1024]
    python benchmarks/memory.py --measure [--sizes 256]

Every network has its own published objective, one image per batch, frozen batch norm and AdamW; a name with a plus is
an encoder and a decoder. Ways: `float32`, `bfloat16`, `recompute` is bfloat16 with `checkpoint_activations`, and
`frozen` has an encoder without gradients as well. The forecast is `forecast_memory`'s total for a CPU, in GB of 1e9
bytes, with the same base for all rows.

With `--measure`, each row is a process of its own, with `keep_memory` as `dichoseg train` has it: it makes the network,
forecasts, and runs two epochs of `fit` on one random image, so that the second epoch has the optimizer's state and the
copy of the best weights. The process's peak resident memory is compared with the forecast.
"""

import argparse
import dataclasses
import json
import logging
import subprocess
import sys
from typing import Any

import torch

import dichoseg
from dichoseg.contracts import Model, Objective
from dichoseg.objectives.birefnet import birefnet
from dichoseg.objectives.inspyrenet import inspyrenet
from dichoseg.objectives.multi_view import MultiViewSupervision
from dichoseg.planning import MemoryForecast, forecast_memory
from dichoseg.runtime.memory import keep_memory, most_memory_used
from dichoseg.training import checkpoint_activations, freeze, freeze_batch_norm

OBJECTIVES = {
    "birefnet": birefnet,
    "birefnet_lite": birefnet,
    "inspyrenet": inspyrenet,
    "mvanet": MultiViewSupervision,
}
NETWORKS = ["isnet", "u2net", "u2netp", "egnet_resnet50", *OBJECTIVES, "timm:convnext_tiny+fpn", "timm:resnet18+rsu"]
BASE = 0.9
"""GB of a process that has imported torch, built with CUDA, and the library."""
WAYS = ["float32", "bfloat16", "recompute", "frozen"]


def make(name: str, size: int) -> Model:
    """Make a network by its name, or from ENCODER+DECODER."""
    if "+" in name:
        encoder, decoder = name.split("+")
        return dichoseg.create_model("isnet", encoder=encoder, decoder=decoder, size=size)
    return dichoseg.create_model(name, **{"base_size" if name == "inspyrenet" else "size": size})


def options(name: str, way: str) -> dict[str, Any]:
    """Return the arguments that `forecast_memory` and `fit` share."""
    objective: Objective | None = OBJECTIVES[name]() if name in OBJECTIVES else None
    precision: Any = "float32" if way == "float32" else "bfloat16"
    return {"objective": objective, "optimization": dichoseg.Optimization(precision=precision), "device": "cpu"}


def forecast(model: Model, name: str, way: str) -> MemoryForecast:
    """Return the forecast."""
    saving = {"recompute": way in ("recompute", "frozen"), "freeze_encoder": way == "frozen"}
    return forecast_memory(model, freeze_batch_norm=True, **saving, **options(name, way))


def measure(name: str, size: int, way: str) -> dict[str, float]:
    """Return the forecast and the peak of this process, which trains."""
    logging.disable(logging.WARNING)  # of batches of one image
    keep_memory()
    model = make(name, size)
    expected = forecast(model, name, way).total
    if any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()):
        freeze_batch_norm(model)
    if way == "frozen":
        freeze(model.encoder)
    if way in ("recompute", "frozen"):
        checkpoint_activations(model)
    for parameter in model.parameters():
        parameter.data *= 0.5  # untrained ones may overflow
    image = (torch.rand(3, size, size), torch.rand(1, size, size).round())
    dichoseg.fit(model, [image], epochs=2, batch_size=1, progress=False, **options(name, way))
    return {"forecast": expected, "peak": most_memory_used("cpu")}


def main() -> None:
    """Print a row for each network, size and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--row", nargs=3, metavar=("NETWORK", "SIZE", "WAY"), help="measure in this process")
    chosen = parser.parse_args()
    if chosen.row:
        name, size, way = chosen.row
        print(json.dumps(measure(name, int(size), way)))
        return
    rows = [(name, size, way) for way in chosen.ways for name in chosen.networks for size in chosen.sizes]
    for name, size, way in rows:
        if chosen.measure:
            command = [sys.executable, __file__, "--row", name, str(size), way]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            text = f"{found['forecast']:8.2f}{found['peak']:8.2f}{found['forecast'] / found['peak']:8.2f}"
        else:
            with torch.device("meta"):
                model = make(name, size)
            text = f"{dataclasses.replace(forecast(model, name, way), base=BASE).total:8.2f}"
        print(f"{name:24}{size:6}  {way:12}{text}", flush=True)


if __name__ == "__main__":
    main()
