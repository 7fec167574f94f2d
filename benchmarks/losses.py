"""Time each loss forward and backward, on one thread: `python benchmarks/losses.py [SIZE]`.

The losses take turns, so that other load on the machine affects all of them; ratios are of medians.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn

from dichoseg import SyntheticDataset, list_components, load_component

REFERENCE = "bce"


def seconds(loss: nn.Module, logits: torch.Tensor, mask: torch.Tensor) -> float:
    """Time one value and its gradient."""
    started = time.perf_counter()
    torch.autograd.grad(loss(logits, mask), logits)
    if logits.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Time every installed loss on one synthetic mask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, nargs="?", default=1024, help="side of the mask, in pixels")
    parser.add_argument("--rounds", type=int, default=15, help="calls of each loss, after one to warm up")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    mask = SyntheticDataset(1, size=options.size)[0].mask[None].to(options.device)
    logits = torch.randn(mask.shape, generator=torch.manual_seed(0)).to(options.device).requires_grad_()
    losses = {name: load_component("losses", name)() for name in list_components("losses")}
    times: dict[str, list[float]] = {name: [] for name in losses}
    for _ in range(1 + options.rounds):
        for name, loss in losses.items():
            times[name].append(seconds(loss, logits, mask))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}

    print(f"{options.size}x{options.size}, {options.threads} threads, {options.device}, {options.rounds} rounds")
    print(f"{'':16}{'ms':>9}{'x ' + REFERENCE:>9}")
    for name, median in sorted(medians.items(), key=lambda item: item[1]):
        print(f"{name:16}{1000 * median:9.1f}{median / medians[REFERENCE]:9.1f}")


if __name__ == "__main__":
    main()
