"""Speed and memory of training IS-Net with dichoseg and with a plain float32 loop over the same network.

    python benchmarks/training.py speed [--size 512] [--batches 1 2] [--steps 8] [--rounds 2]
    python benchmarks/training.py memory [--size 1024] [--steps 5]

`speed`: images per second of `fit` and of the plain loop (`benchmarks/plain_loop.py`), in turn, each in a separate
process, with images in memory. `fit` runs as `dichoseg train` calls it, which keeps freed memory, and without that. A
loop written by hand in bfloat16 and channels-last layout shows the possible speed. On a CPU, a round whose plain step
is slower than 2.7 s does not count, because the machine was busy.

`memory`: bytes that a step needs beyond parameters, gradients and the optimizer's state, by default and with
`checkpoint_activations`, and the time of both. On a GPU this is the allocator's peak. On a CPU `kept` counts the
distinct storages that are kept between forward and backward pass, by hooks on saved tensors, and `peak` the storages
alive at any one time in the step, recomputed ones included.
"""

import argparse
import json
import logging
import statistics
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from plain_loop import PlainISNet, images_in_memory, plain_loss
from torch import Tensor, nn

import dichoseg
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision
from dichoseg.planning.live_bytes import LiveBytes
from dichoseg.runtime.device import uses_bfloat16
from dichoseg.runtime.memory import keep_memory
from dichoseg.training import checkpoint_activations

SLOWEST_PLAIN_STEP = 2.7  # seconds
CONTESTANTS = ("plain", "fit", "fit, memory kept", "by hand", "by hand, memory kept")


def main() -> None:
    """Run the requested part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "memory", *CONTESTANTS])
    parser.add_argument("--size", type=int, help="default: 512 for speed, 1024 for memory")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=8, help="number of timed steps, after some warm-up steps")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.size = options.size or (1024 if options.part == "memory" else 512)
    if options.part == "memory":
        memory(options)
    elif options.part == "speed":
        print(f"IS-Net {options.size}x{options.size}, {machine(options)}")
        for batch in options.batches:
            speed(options, batch)
    else:
        print(json.dumps(contestant(options.part, options)))


def machine(options: argparse.Namespace) -> str:
    """Describe the device."""
    device = torch.device(options.device)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {options.threads} threads"
    return f"{kind}, precision auto is {'bfloat16' if uses_bfloat16('auto', device) else 'float32'}"


def speed(options: argparse.Namespace, batch: int) -> None:
    """Time every contestant in turn, and print ratios to the plain loop."""
    times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    outside: list[float] = []
    for _ in range(options.rounds):
        found = {name: in_its_own_process(name, options, batch) for name in CONTESTANTS}
        plain = statistics.median(found["plain"]["seconds"])
        if options.device == "cpu" and plain > SLOWEST_PLAIN_STEP:
            print(f"batch {batch}: a round is left out, its plain step took {plain:.2f} s")
            continue
        outside.append(found["fit, memory kept"]["outside"])
        for name, result in found.items():
            times[name].append(statistics.median(result["seconds"]))
    if outside:
        print(f"{'batch ' + str(batch):24}{'s a step':>10}{'images/s':>10}{'x plain':>9}")
        for name, seconds in times.items():
            ratios = [before / now for before, now in zip(times["plain"], seconds, strict=True)]
            step = statistics.median(seconds)
            print(f"{name:24}{step:10.3f}{batch / step:10.3f}{statistics.median(ratios):9.2f}")
        print(f"of fit's time, outside of forward, backward and step: {100 * statistics.median(outside):.1f} %")


def in_its_own_process(name: str, options: argparse.Namespace, batch: int) -> dict[str, Any]:
    """Run a contestant in a process of its own; return the seconds of each step and its other results."""
    here = Path(__file__)
    script = [str(here.with_name("plain_loop.py"))] if name == "plain" else [str(here), name]
    numbers = {"size": options.size, "threads": options.threads, "device": options.device}
    numbers["steps"] = options.steps + 2 if name == "plain" else options.steps
    numbers["batch" if name == "plain" else "batches"] = batch
    arguments = [str(word) for key, value in numbers.items() for word in (f"--{key}", value)]
    done = subprocess.run([sys.executable, *script, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if name == "plain":
        result["seconds"] = result["seconds"][2:]  # the first ones warm up
    return result


def contestant(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train with one contestant, in the process started for it; return the seconds of its steps."""
    (batch,) = options.batches
    logging.disable(logging.WARNING)  # of batches of one image
    if name.endswith("memory kept"):
        keep_memory()
    torch.manual_seed(0)
    model = dichoseg.create_model("isnet", preprocessing=dichoseg.Preprocessing(size=options.size))
    images = images_in_memory(4, options.size)
    if name.startswith("fit"):
        data = [images[index % 4] for index in range(options.steps * batch)]
        rows = dichoseg.fit(model, data, epochs=3, batch_size=batch, device=options.device)[1:]
        seconds = [batch / row["images_per_second"] for row in rows]
        return {"seconds": seconds, "outside": 1 - statistics.median(row["busy"] for row in rows)}
    model.to(options.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    seconds = []
    for step in range(options.steps + 2):
        started = time.perf_counter()
        image, mask = (torch.stack(x) for x in zip(*(images[(step + i) % 4] for i in range(batch)), strict=True))
        own_loss(model, image.to(options.device), mask.to(options.device)).backward()
        optimizer.step()
        optimizer.zero_grad()
        if options.device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds[2:]}


def own_loss(model: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """Compute the default objective, in bfloat16 if the machine has it natively."""
    image = (image - 0.5).contiguous(memory_format=torch.channels_last)
    with torch.autocast(image.device.type, torch.bfloat16, enabled=uses_bfloat16("auto", image.device)):
        prediction = model(image)
    return sum(DeepSupervision(BCELoss()).terms(prediction, mask).values(), start=image.new_zeros(()))


def memory(options: argparse.Namespace) -> None:
    """Measure a step of the plain loop, of the default and with recomputed activations."""
    keep_memory()
    (image, mask) = (x[None].to(options.device) for x in images_in_memory(1, options.size)[0])
    torch.manual_seed(0)
    model = dichoseg.create_model("isnet").to(options.device, memory_format=torch.channels_last).train()
    plain = PlainISNet().to(options.device).train()
    ways: dict[str, tuple[nn.Module, bool, Callable[[], Tensor]]] = {
        "plain": (plain, False, lambda: plain_loss(plain, image - 0.5, mask)),
        "default": (model, False, lambda: own_loss(model, image, mask)),
        "checkpointed": (model, True, lambda: own_loss(model, image, mask)),
    }
    needed: dict[str, dict[str, float]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for name, (network, checkpointed, loss) in ways.items():
        if network is model:
            checkpoint_activations(model, checkpointed)
        needed[name] = bytes_needed(network, loss)
    for _ in range(options.steps + 1):
        for name, (network, checkpointed, loss) in ways.items():
            if network is model:
                checkpoint_activations(model, checkpointed)
            started = time.perf_counter()
            loss().backward()
            if options.device != "cpu":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - started)
            network.zero_grad()
    print(f"IS-Net {options.size}x{options.size}, batch 1, {machine(options)}")
    kinds = list(needed["plain"])
    print(f"{'':14}" + "".join(f"{kind + ' MB':>10}{'x plain':>9}" for kind in kinds) + f"{'s':>9}{'x default':>11}")
    default = statistics.median(seconds["default"][1:])
    for name, sizes in needed.items():
        columns = "".join(f"{sizes[kind] / 1e6:10.0f}{sizes[kind] / needed['plain'][kind]:9.3f}" for kind in kinds)
        own = statistics.median(seconds[name][1:])
        print(f"{name:14}{columns}{own:9.3f}{own / default:11.3f}")


def bytes_needed(network: nn.Module, loss: Callable[[], Tensor]) -> dict[str, float]:
    """Return the bytes of one forward and backward pass, beyond parameters, buffers and gradients."""
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    if next(network.parameters()).is_cuda:
        loss().backward()  # so that libraries have their workspaces
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        loss().backward()
        needed = {"peak": float(torch.cuda.max_memory_allocated() - before)}
    else:
        own = [*network.parameters(), *network.buffers()]
        needed = {"kept": kept_by_hooks(loss, own)}
        with LiveBytes([*own, *(parameter.grad for parameter in network.parameters())]) as alive:
            loss().backward()
        needed["peak"] = float(alive.peak)
    network.zero_grad()
    return needed


class Saved:
    """Tensor that is kept for the backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def kept_by_hooks(loss: Callable[[], Tensor], own: list[Tensor]) -> float:
    """Return the bytes of the distinct storages kept at the end of the forward pass, without the network's own."""
    alive: weakref.WeakSet[Saved] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Saved:
        saved = Saved(tensor)
        alive.add(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        value = loss()
    storages = {saved.tensor.untyped_storage()._cdata: saved.tensor.untyped_storage() for saved in alive}
    for tensor in own:
        storages.pop(tensor.untyped_storage()._cdata, None)
    del value
    return float(sum(storage.nbytes() for storage in storages.values()))


if __name__ == "__main__":
    main()
