"""Less memory for more time: what stages keep for the backward pass is computed again there."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint

from ..contracts import Decoder, Encoder


def checkpoint_activations(model: nn.Module, enabled: bool = True) -> None:
    """Let the stages of a model keep their inputs alone, and compute the rest again in the backward pass.

    For images or batches that do not fit into memory otherwise. Values, gradients and running statistics stay the same
    but for rounding; names in the `state_dict` stay, and nothing changes in eval mode or without gradients.

    A stage is the smallest part that holds at least two convolutions or linear layers and is an item of a list or a
    sequence of modules: a residual U-block, a block of a timm backbone, a join of `DeconvEnlarger`. An encoder or a
    decoder without such parts is one stage as a whole.

    `checkpoint_activations(model); fit(model, data, batch_size=16)`

    Source: Chen et al., "Training deep nets with sublinear memory cost" (arXiv:1604.06174), through
    `torch.utils.checkpoint`. Differs from its plain use, and from timm's `set_grad_checkpointing`, in that batch norm
    counts each batch once.

    Args:
        model: Any network; changed in place. Copies and pickles of it are as it is.
        enabled: False undoes it.

    Raises:
        ValueError: A model without such a stage.
    """
    stages = _stages(model)
    if not stages:
        raise ValueError(
            f"{type(model).__name__} has no stage whose activations could be computed again: wanted an encoder, a "
            "decoder, or a list of blocks with two or more convolutions each"
        )
    for stage in stages:
        own = vars(stage).get("forward")
        if enabled and own is None:
            stage.forward = functools.partial(_forward, stage)
        elif not enabled and isinstance(own, functools.partial) and own.func is _forward:
            del stage.forward


def _stages(model: nn.Module) -> set[nn.Module]:
    lists = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    items = {item for module in model.modules() if isinstance(module, lists) for item in module.children()}
    stages: set[nn.Module] = set()
    for module in reversed(list(model.modules())):  # from the inside out
        if module not in items and not isinstance(module, Encoder | Decoder):
            continue
        callable_itself = type(module).forward is not nn.Module.forward
        weights = sum(parameter.ndim > 1 for parameter in module.parameters())
        if callable_itself and weights > 1 and stages.isdisjoint(module.modules()):
            stages.add(module)
    return stages


def _forward(stage: nn.Module, *inputs: Any, **options: Any) -> Any:
    """What a stage's `forward` is replaced by."""
    forward = functools.partial(type(stage).forward, stage)
    if not (stage.training and torch.is_grad_enabled()):
        return forward(*inputs, **options)
    inputs, options = tree_map(lambda leaf: leaf, (inputs, options))  # lists of its own: DenseNet's grow afterwards
    if torch.compiler.is_compiling():  # it writes running statistics once by itself
        return checkpoint(forward, *inputs, use_reentrant=False, **options)
    contexts = functools.partial(_contexts, stage)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)


def _contexts(stage: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_kept(stage)


@contextmanager
def _statistics_kept(stage: nn.Module) -> Iterator[None]:
    """Leave running statistics as they are while a stage runs once more on the same batch."""
    norms = [module for module in stage.modules() if isinstance(module, _NormBase)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
