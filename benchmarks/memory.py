"""Forecast of the memory that training takes, for networks, sizes and ways to save, without computing anything.

    python benchmarks/memory.py [--networks birefnet birefnet_lite] [--sizes 512 1024] [--measure]

One image per batch, all losses of the network's own objective. `weights` are parameters, gradients and the two averages
of AdamW in float32; `kept` are the distinct storages that wait for the backward pass, counted on fake tensors by hooks
on saved tensors; `total` is their sum. What one operation needs for itself comes on top. Ways: `plain` is float32,
`bfloat16` is autocast, `+ recompute` is `checkpoint_activations`, `+ frozen encoder` has an encoder without gradients.
With `--measure`, the smallest size is also computed on the CPU in float32, to compare what was kept.
"""

import argparse
import contextlib
import resource
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from training import kept_by_hooks

import dichoseg
from dichoseg.contracts import Model, Objective, Target
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision
from dichoseg.objectives.birefnet import birefnet
from dichoseg.objectives.inspyrenet import inspyrenet
from dichoseg.objectives.multi_view import MultiViewSupervision
from dichoseg.training import checkpoint_activations

OBJECTIVES = {
    "birefnet": birefnet,
    "birefnet_lite": birefnet,
    "inspyrenet": inspyrenet,
    "mvanet": MultiViewSupervision,
}
WAYS = {
    "plain": (),
    "bfloat16": ("bfloat16",),
    "+ recompute": ("bfloat16", "recompute"),
    "+ frozen encoder": ("bfloat16", "recompute", "frozen"),
}


def prepare(name: str, size: int, options: tuple[str, ...]) -> Model:
    """Make a network for training at a size."""
    arguments: dict[str, Any] = {"base_size": size} if name == "inspyrenet" else {"size": size}
    model = dichoseg.create_model(name, **arguments).train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # frozen, as a batch of one needs
    if "frozen" in options:
        model.encoder.requires_grad_(False)
    if "recompute" in options:
        checkpoint_activations(model)
    return model


def kept(model: Model, objective: Objective, size: int, options: tuple[str, ...]) -> float:
    """Return the bytes of distinct storages, but the network's own, that one step keeps for its backward pass."""
    image, mask = torch.rand(1, 3, size, size), torch.rand(1, 1, size, size).round()
    half = torch.autocast("cpu", torch.bfloat16) if "bfloat16" in options else contextlib.nullcontext()

    def loss() -> Tensor:
        with half:
            prediction = model(image)
        return sum(objective.terms(prediction, Target(mask, image=image)).values(), start=image.new_zeros(()))

    return kept_by_hooks(loss, [*model.parameters(), *model.buffers()])


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["isnet", *OBJECTIVES])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # fake parameters in place of real ones
    for name in options.networks:
        objective = OBJECTIVES.get(name, lambda: DeepSupervision(BCELoss()))()
        for size in options.sizes:
            for way, choices in WAYS.items():
                model = prepare(name, size, choices)
                with FakeTensorMode() as mode:
                    model._apply(mode.from_tensor)
                    activations = kept(model, objective, size, choices)
                learned = sum(value.numel() for value in model.parameters() if value.requires_grad)
                weights = 4 * sum(value.numel() for value in model.parameters()) + 12 * learned
                row = f"{weights / 1e9:8.2f}{activations / 1e9:8.2f}{(weights + activations) / 1e9:8.2f}"
                print(f"{name:16}{size:6}  {way:20}{row} GB", flush=True)
        if options.measure:
            size = min(options.sizes)
            real = kept(prepare(name, size, ()), objective, size, ())
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"{name:16}{size:6}  {'measured, plain':20}{real / 1e9:16.2f} GB kept, {peak:.2f} GB of the process")


if __name__ == "__main__":
    main()
