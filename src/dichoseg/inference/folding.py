"""Batch norms multiplied into the convolutions before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ..contracts import Model
from ..tracing import blank_image, outline

CONVOLUTIONS = {"Conv2d", "Conv2dSame", "ConvTranspose2d"}
NORMS = {
    "BatchNorm2d",
    "SyncBatchNorm",
    "FrozenBatchNorm2d",
    "BatchNormAct2d",
    "SyncBatchNormAct",
    "FrozenBatchNormAct2d",
}
LIBRARIES = {"torch", "torchvision", "timm"}
"""A layer of another class, or of another library, may compute something else: it is left alone."""


@torch.no_grad()
def fold_batch_norm(model: Model) -> None:
    """Multiply batch norms, live or frozen, into the convolutions whose output they alone take, in place.

    Which these are is seen in a forward pass of the model's outline. A model that has none, or whose outline cannot be
    run, stays as it is; so do layers with hooks or parametrizations, which may change what they compute.
    """
    for conv_name, norm_name in _folding_pairs(model).items():
        conv = cast(nn.Conv2d | nn.ConvTranspose2d, model.get_submodule(conv_name))
        norm = model.get_submodule(norm_name)
        mean, variance = (cast(Tensor, getattr(norm, name)) for name in ("running_mean", "running_var"))
        weight, bias = cast(Tensor | None, norm.weight), cast(Tensor | None, norm.bias)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, mean, variance, cast(float, norm.eps), weight, bias, transpose=conv.transposed
        )
        activation = getattr(norm, "act", None)  # timm's batch norms may hold one
        replacement = activation if isinstance(activation, nn.Module) else nn.Identity()
        for name, module in list(model.named_modules(remove_duplicate=False)):
            if module is norm:
                owner, _, attribute = name.rpartition(".")
                setattr(model.get_submodule(owner), attribute, replacement)


def has_hooks(module: nn.Module) -> bool:
    """Whether something other than its `forward` has a part in what a module computes, or learns of it."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _folding_pairs(model: Model) -> dict[str, str]:
    """Convolutions -> the batch norm that takes their output, each used once, and by nothing else."""
    plain = {
        name
        for name, module in model.named_modules()
        if type(module).__module__.partition(".")[0] in LIBRARIES and not has_hooks(module)
    }
    try:
        empty = outline(model)
    except Exception:  # what cannot be copied to the meta device is not folded
        return {}
    makers: dict[int, str] = {}
    calls: Counter[str] = Counter()
    pairs: dict[str, str] = {}
    kept: list[Tensor] = []
    uses = _Uses(makers)

    def after_conv(name: str, output: Tensor) -> None:
        calls[name] += 1
        makers[id(output)] = name
        kept.append(output)  # so that its id stays its own

    def before_norm(name: str, features: Tensor) -> None:
        calls[name] += 1
        if id(features) in makers:
            pairs[makers[id(features)]] = name

    for name, module in empty.named_modules():
        if name in plain and _is_convolution(module):
            module.register_forward_hook(lambda _, __, output, name=name: after_conv(name, output))
        elif name in plain and type(module).__name__ in NORMS and isinstance(module.running_var, Tensor):
            module.register_forward_pre_hook(lambda _, inputs, name=name: before_norm(name, inputs[0]))
    try:
        with torch.no_grad(), uses:
            empty(blank_image(model))
    except Exception:
        return {}
    return {conv: norm for conv, norm in pairs.items() if calls[conv] == calls[norm] == uses.counts[conv] == 1}


def _is_convolution(module: nn.Module) -> bool:
    """Whether a batch norm behind a module can be multiplied into its weights."""
    if type(module).__name__ not in CONVOLUTIONS:
        return False
    # the weights of one that is transposed are (in, out / groups, ...): a group's outputs share no dimension of theirs
    return not (isinstance(module, nn.ConvTranspose2d) and module.groups > 1)


class _Uses(TorchFunctionMode):
    """Counts into how many functions that make or change tensors each maker's tensor goes; asking its shape is none."""

    def __init__(self, makers: dict[int, str]) -> None:
        super().__init__()
        self.makers = makers
        self.counts: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        if result is None or any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            self.counts.update(self.makers[tensor] for tensor in given if tensor in self.makers)
        return result
