"""Cost of networks: parameters, multiplications, and the time of one image, as a table in Markdown.

    python benchmarks/networks.py [--only isnet,isnet+fpn] [--size 1024] [--repeats 3] [--threads 2]

Weights are random, since they do not change the cost. GMACs are multiply-accumulate operations, in 10⁹, for one image
and all maps. Times are in seconds, for one image through a `Predictor`'s network, from its normalized input to its
probability: the median of the repeats, after one warm-up. `auto` uses bfloat16 on machines that have it natively.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import dichoseg
from dichoseg.contracts import Decoder, Encoder, FeatureInfo, Model
from dichoseg.decoders import FPNDecoder, RSUDecoder
from dichoseg.encoders import PatchInjectionEncoder, RSUEncoder, TimmEncoder
from dichoseg.runtime.device import Precision
from dichoseg.runtime.memory import keep_memory
from dichoseg.tracing import outline

BACKBONE = "convnext_tiny"


def by_name(name: str, **arguments: Any) -> Callable[[], Model]:
    """Return a function that creates a network by its name or those of its parts."""
    return lambda: dichoseg.create_model(name, **arguments)


def with_patches(make: Callable[[], Encoder], decoder: Callable[[FeatureInfo], Decoder]) -> Callable[[], Model]:
    """Return a function that creates a network whose decoder also gets the image's pixels."""

    def model() -> Model:
        encoder = PatchInjectionEncoder(make())
        return dichoseg.Segmenter(encoder, decoder(encoder.feature_info))

    return model


NONLINEAR: dict[str, Any] = {"decoder": "deconv", "decoder_args": {"nonlinear": True}}
CONVNEXT = {"encoder": f"timm:{BACKBONE}"}
NETWORKS = {
    "isnet": by_name("isnet"),
    "isnet+deconv": by_name("isnet", decoder="deconv"),
    "isnet+nonlinear deconv": by_name("isnet", **NONLINEAR),
    "isnet+fpn": by_name("isnet", decoder="fpn"),
    "isnet+patches": with_patches(RSUEncoder, RSUDecoder),
    "u2net": by_name("u2net"),
    "u2netp": by_name("u2netp"),
    f"{BACKBONE}+rsu": by_name("isnet", **CONVNEXT),
    f"{BACKBONE}+deconv": by_name("isnet", **CONVNEXT, decoder="deconv"),
    f"{BACKBONE}+nonlinear deconv": by_name("isnet", **CONVNEXT, **NONLINEAR),
    f"{BACKBONE}+fpn": by_name("isnet", **CONVNEXT, decoder="fpn"),
    f"{BACKBONE}+patches+fpn": with_patches(lambda: TimmEncoder(BACKBONE), FPNDecoder),
}
PRECISIONS: tuple[Precision, ...] = ("float32", "auto")


def gmacs(model: Model, size: int) -> float:
    """Count the multiply-accumulates for one image and all maps, in 10⁹, without computing anything."""
    image = torch.empty(1, model.preprocessing.channels, size, size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        outline(model)(image)
    return counter.get_total_flops() / 2e9


def seconds(predictor: dichoseg.Predictor, image: torch.Tensor, repeats: int) -> float:
    """Return the median time of one image; the first call is a warm-up."""
    times = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        with torch.inference_mode():
            predictor.probability(image)
        if image.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def trainable(model: nn.Module) -> int:
    """Count the parameters with a gradient."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def main() -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of the rows, separated by commas")
    parser.add_argument("--size", type=int, default=1024, help="side of the image, in pixels")
    parser.add_argument("--repeats", type=int, default=3, help="number of timed calls; 0 only counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(NETWORKS)
    if unknown := set(names) - set(NETWORKS):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {'; '.join(NETWORKS)}")
    torch.set_num_threads(options.threads)
    keep_memory()  # as dichoseg predict does

    where = f"{options.device}, {options.threads} thread(s), torch {torch.__version__}"
    print(f"{options.size} x {options.size} pixels, {where}\n")
    columns = ["network", "parameters, 10⁶", "GMACs", *(PRECISIONS if options.repeats else ())]
    print(f"| {' | '.join(columns)} |\n|---{'|---:' * (len(columns) - 1)}|")
    for name in names:
        model = NETWORKS[name]()
        cells = [f"{trainable(model) / 1e6:.1f}", f"{gmacs(model, options.size):.1f}"]
        for precision in PRECISIONS if options.repeats else ():
            predictor = dichoseg.Predictor(model, device=options.device, precision=precision)
            image = torch.rand(1, 3, options.size, options.size).to(options.device, predictor.dtype)
            cells.append(f"{seconds(predictor, image, options.repeats):.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
