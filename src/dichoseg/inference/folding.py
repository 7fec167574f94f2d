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
"""Layers of other classes or libraries are not folded, because they may compute something else."""


@torch.no_grad()
def fold_batch_norm(model: Model) -> None:
    """Fold batch norms, live or frozen, into the convolutions before them, in place.

    A batch norm is folded if nothing else uses the convolution's output, which a forward pass of the model's outline
    shows. Layers with hooks or parametrizations are skipped, because these may change what the layers compute. A model
    without such batch norms, or whose outline cannot be run, is not changed.
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
    """Return whether a module has forward hooks or pre-hooks, which can change or observe what it computes."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _folding_pairs(model: Model) -> dict[str, str]:
    """Map convolutions to the batch norm that takes their output, if both run once and nothing else uses it."""
    plain = {
        name
        for name, module in model.named_modules()
        if type(module).__module__.partition(".")[0] in LIBRARIES and not has_hooks(module)
    }
    try:
        empty = outline(model)
    except Exception:  # a model that cannot be copied to the meta device is not folded
        return {}
    makers: dict[int, str] = {}
    calls: Counter[str] = Counter()
    pairs: dict[str, str] = {}
    kept: list[Tensor] = []
    uses = _Uses(makers)

    def after_conv(name: str, output: Tensor) -> None:
        calls[name] += 1
        makers[id(output)] = name
        kept.append(output)  # alive, so that its id is not reused

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
    """Return whether a batch norm after a module can be multiplied into its weights."""
    if type(module).__name__ not in CONVOLUTIONS:
        return False
    # weights of a transposed one are (in, out / groups, ...): with groups, no dimension is the output channels
    return not (isinstance(module, nn.ConvTranspose2d) and module.groups > 1)


class _Uses(TorchFunctionMode):
    """Mode that counts the operations on each convolution's output; reading its shape does not count."""

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
