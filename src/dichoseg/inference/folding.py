"""Folding of batch norms into the convolutions before them."""

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
from ..tracing import ShapesOnly, blank_image, outline

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
"""Layers of other classes or libraries are not folded, because they may compute something else."""


@torch.no_grad()
def fold_batch_norm(model: Model) -> None:
    """Fold batch norms, live or frozen, into the convolutions before them, in place.

    A batch norm is folded if nothing else uses the convolution's output, which a forward pass of the model's outline
    shows (`torch.fx` can trace neither IS-Net nor timm's encoders). Layers with hooks or parametrizations are skipped,
    because these may change the result of the layers. A model whose outline cannot be run is not changed.
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
                model.set_submodule(name, replacement)


def _folding_pairs(model: Model) -> dict[str, str]:
    """Map convolutions to the batch norm that takes their output, if nothing else uses it, in one call or in all."""
    norm_calls: list[tuple[str | None, str]] = []  # name of the convolution before, if any, and of the norm

    def after_conv(name: str, output: Any) -> None:
        output.made_by = name

    def before_norm(name: str, features: Tensor) -> None:
        norm_calls.append((getattr(features, "made_by", None), name))

    uses = _CountUses()
    try:
        empty = outline(model)
        for name, module in empty.named_modules():
            if _is_convolution(module):
                module.register_forward_hook(lambda _, __, output, name=name: after_conv(name, output))
            elif _is_norm(module):
                module.register_forward_pre_hook(lambda _, inputs, name=name: before_norm(name, inputs[0]))
        with torch.no_grad(), ShapesOnly(), uses:
            empty(blank_image(model))
    except Exception:  # a model that cannot be copied to the meta device, or not run there, is not folded
        return {}
    calls = Counter(norm for _, norm in norm_calls)
    return {
        conv: norm
        for (conv, norm), count in Counter(norm_calls).items()
        if conv is not None and calls[norm] == uses.counts[conv] == count
    }


def _is_convolution(module: nn.Module) -> bool:
    """Return whether a batch norm after a module can be multiplied into its weights."""
    if not _is_plain(module, CONVOLUTIONS):
        return False
    # weights of a transposed one are (in, out / groups, ...): with groups, no dimension is the output channels
    return not (isinstance(module, nn.ConvTranspose2d) and module.groups > 1)


def _is_norm(module: nn.Module) -> bool:
    return _is_plain(module, NORMS) and isinstance(module.running_var, Tensor)


def _is_plain(module: nn.Module, names: set[str]) -> bool:
    """Return whether a module is of a known class and has no hooks, which can change or observe its result."""
    known = type(module).__name__ in names and type(module).__module__.partition(".")[0] in LIBRARIES
    return known and not (module._forward_hooks or module._forward_pre_hooks)


class _CountUses(TorchFunctionMode):
    """Mode that counts the operations on each convolution's output; reading its shape does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        inputs = {id(leaf): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        if result is None or any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            self.counts.update(tensor.made_by for tensor in inputs.values() if hasattr(tensor, "made_by"))
        return result
