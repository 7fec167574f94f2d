"""Less memory for more time: activations of stages are recomputed in the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint

from ..contracts import Decoder, Encoder


def checkpoint_activations(model: nn.Module, enabled: bool = True) -> None:
    """Let the stages of a model keep only their inputs, and recompute the rest in the backward pass.

    For images or batches that do not fit into memory otherwise. Values, gradients and running statistics stay the same
    up to rounding, names in the `state_dict` stay, and nothing changes in eval mode or without gradients.

    A stage is the smallest part that holds at least two convolutions or linear layers and is an item of a list or a
    sequence of modules: a residual U-block, a block of a timm backbone, a join of `DeconvEnlarger`. An encoder or a
    decoder without such parts is one stage.

    `checkpoint_activations(model); fit(model, data, batch_size=16)`

    Source: Chen et al., "Training deep nets with sublinear memory cost" (arXiv:1604.06174), through
    `torch.utils.checkpoint`. Differs from its plain use, and from timm's `set_grad_checkpointing`: batch norm counts
    each batch once.

    Args:
        model: Any network; changed in place. Copies and pickles of it keep the setting.
        enabled: Whether to recompute; False undoes it.
    """
    stages = _find_stages(model)
    if not stages:
        raise ValueError(f"{type(model).__name__} has no encoder, decoder or list of blocks to recompute")
    for stage in stages:
        current = vars(stage).get("forward")  # may also be somebody else's
        if enabled and current is None:
            stage.forward = functools.partial(_forward, stage)
        elif not enabled and isinstance(current, functools.partial) and current.func is _forward:
            del stage.forward


def _find_stages(model: nn.Module) -> set[nn.Module]:
    lists = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    items = {item for module in model.modules() if isinstance(module, lists) for item in module.children()}
    stages: set[nn.Module] = set()
    for module in reversed(list(model.modules())):  # inner modules first
        is_part = module in items or isinstance(module, Encoder | Decoder)
        has_forward = type(module).forward is not nn.Module.forward
        weights = sum(parameter.ndim > 1 for parameter in module.parameters())
        if is_part and has_forward and weights > 1 and stages.isdisjoint(module.modules()):
            stages.add(module)
    return stages


def _forward(stage: nn.Module, *inputs: Any, **options: Any) -> Any:
    """Replacement of a stage's `forward`."""
    forward = functools.partial(type(stage).forward, stage)
    if not (stage.training and torch.is_grad_enabled()):
        return forward(*inputs, **options)
    inputs, options = tree_map(lambda leaf: leaf, (inputs, options))  # copies lists, because DenseNet's grow afterwards
    if torch.compiler.is_compiling():  # the compiler updates running statistics once by itself
        return checkpoint(forward, *inputs, use_reentrant=False, **options)
    return checkpoint(
        forward,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _frozen_statistics(stage)),
        **options,
    )


@contextmanager
def _frozen_statistics(stage: nn.Module) -> Iterator[None]:
    """Keep running statistics unchanged while a stage runs again on the same batch."""
    norms = [module for module in stage.modules() if isinstance(module, _NormBase)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
