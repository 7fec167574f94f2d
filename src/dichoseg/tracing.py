"""Dry runs of a model: its outline without weights, on the meta device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from .contracts import Image, Model, Prediction

M = TypeVar("M", bound=nn.Module)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode inside the block; restore each module's own mode afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def outline(model: M) -> M:
    """Copy a model without its weights, in eval mode, to the meta device, on which a forward pass is almost free."""
    memo: dict[int, object] = {id(value): nn.Parameter(value.to("meta"), False) for value in model.parameters()}
    memo |= {id(value): value.to("meta") for value in model.buffers()}
    return copy.deepcopy(model, memo).eval()


class ShapesOnly(TorchFunctionMode):
    """Mode in which resizing and batch norm give empty results on the meta device, where PyTorch takes 20 ms for each.

    Nothing changes on other devices, or if a gradient is needed.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (F.interpolate, F.batch_norm) and _on_meta(args, kwargs):
            features = cast(Tensor, kwargs.get("input", args[0] if args else None))
            size = kwargs.get("size", args[1] if len(args) > 1 else None)
            if func is F.batch_norm:
                return torch.empty_like(features)
            if isinstance(size, tuple) and len(size) == features.ndim - 2:
                return features.new_empty((*features.shape[:2], *size))
        return func(*args, **kwargs)


def _on_meta(args: Any, kwargs: Any) -> bool:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    return all(tensor.is_meta and not tensor.requires_grad for tensor in tensors)


def blank_image(model: Model) -> Image:
    """Return an input of the model's own size, or 64 pixels, on the meta device: for its `outline`."""
    height, width = model.preprocessing.height_width or (64, 64)
    return torch.zeros(1, model.preprocessing.channels, height, width, device="meta")


def predicts_edges(model: Model) -> bool | None:
    """Return whether a model's predictions have `edge_logits`; None if its outline cannot be run."""
    return predicts(model, lambda prediction: prediction.edge_logits)


@torch.no_grad()
def predicts(model: Model, part: Callable[[Prediction], Any]) -> bool | None:
    """Return whether a model's predictions have some part; None if its outline cannot be run."""
    try:
        with ShapesOnly():
            prediction: Prediction = outline(model)(blank_image(model))
    except Exception:  # a model may use operators that the meta device lacks
        return None
    return bool(part(prediction))
