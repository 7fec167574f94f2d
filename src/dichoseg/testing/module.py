"""Checks of any module that maps tensors to tensors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Features
from ..tracing import ShapesOnly, outline
from .common import attempt, check_finite, require, require_same, require_unchanged


@dataclass
class Subject:
    """Module under test."""

    name: str
    """Name in messages."""
    module: nn.Module
    """Module itself; its weights and its mode may change."""
    make: Callable[[], nn.Module]
    """Function that builds another instance."""
    run: Callable[[Any, Features], Features]
    """Function that calls a module: a tuple of tensors in, a tuple of tensors out."""
    inputs: Features
    """Batches of two."""


def check_module(subject: Subject) -> None:
    """Run all checks of this file."""
    check_evaluation(subject)
    check_gradients(subject)
    check_copies(subject)
    check_state(subject)
    check_places(subject)


def check_evaluation(subject: Subject) -> None:
    """Check eval mode: inputs are not changed, and the result for an image does not depend on the others."""
    subject.module.eval()
    before = [tensor.clone() for tensor in subject.inputs]
    with torch.no_grad():
        together = subject.run(subject.module, subject.inputs)
        require_unchanged(subject.name, before, subject.inputs)
        require_same(
            subject.name,
            subject.run(subject.module, subject.inputs),
            together,
            "the same result twice in eval mode",
            "eval mode must not draw random numbers or count calls: pass self.training to dropout",
        )
        with attempt(subject.name, "a batch of one, in eval mode,", "take any batch size"):
            alone = subject.run(subject.module, tuple(tensor[:1] for tensor in subject.inputs))
    require_same(
        subject.name,
        alone,
        [result[:1] for result in together],
        "the same result for an image alone and in a batch of two, in eval mode",
        "normalize with statistics of the image itself or running ones, never with the batch's",
    )


def check_gradients(subject: Subject) -> None:
    """Check that each trainable parameter gets a gradient in train mode."""
    asking = {name: value for name, value in subject.module.train().named_parameters() if value.requires_grad}
    if not asking:
        return
    subject.module.zero_grad(set_to_none=True)
    with attempt(subject.name, "a training step", "do not change in place or detach tensors that a gradient needs"):
        results = subject.run(subject.module, subject.inputs)
        total = torch.stack([(result.float() * torch.rand_like(result.float())).mean() for result in results]).sum()
        total.backward()
    without = [name for name, value in asking.items() if value.grad is None]
    require(
        not without,
        subject.name,
        "a gradient for each parameter",
        f"none for {', '.join(without[:3])}{' and others' if len(without) > 3 else ''}",
        "use it in forward (without detach() or no_grad()), remove it, or freeze it with requires_grad_(False)",
    )
    check_finite(f"{subject.name}, gradients", [value.grad for value in asking.values() if value.grad is not None])
    subject.module.zero_grad(set_to_none=True)


@torch.no_grad()
def check_copies(subject: Subject) -> None:
    """Check copies after a training step: `copy.deepcopy`, as in `Predictor`, and `pickle`, as for other processes."""
    with attempt(
        subject.name, "copy.deepcopy of it", "keep no results between calls, open files or locks in attributes"
    ):
        copied = copy.deepcopy(subject.module.eval()).eval()
    require_same(
        subject.name,
        subject.run(copied, subject.inputs),
        subject.run(subject.module, subject.inputs),
        "a copy.deepcopy that computes the same",
        "keep its state in parameters, buffers and submodules",
    )
    with attempt(
        subject.name, "pickling it", "keep no lambdas or local functions in attributes; define its class in a module"
    ):
        pickle.loads(pickle.dumps(outline(copied)))


@torch.no_grad()
def check_state(subject: Subject) -> None:
    """Check that another instance with the same `state_dict` computes the same."""
    wanted = subject.run(subject.module.eval(), subject.inputs)
    other = subject.make().eval()
    with attempt(subject.name, "load_state_dict from another instance", "building it twice must give the same layers"):
        other.load_state_dict(subject.module.state_dict())
    require_same(
        subject.name,
        subject.run(other, subject.inputs),
        wanted,
        "the same result from another instance that has loaded its state_dict",
        "it holds values that state_dict lacks: make them parameters, or buffers with register_buffer",
    )


@torch.no_grad()
def check_places(subject: Subject) -> None:
    """Check bfloat16 autocast, and another device (the meta device, which has shapes only)."""
    with (
        attempt(subject.name, "running under bfloat16 autocast", "convert tensors to one dtype before they are joined"),
        torch.autocast("cpu", torch.bfloat16),
    ):
        halves = subject.run(subject.module.eval(), tuple(tensor[:1] for tensor in subject.inputs))
        check_finite(f"{subject.name}, under bfloat16 autocast", halves)
    plain = [
        f"{path}.{attribute}".lstrip(".")
        for path, part in subject.module.named_modules()
        for attribute, value in vars(part).items()
        if isinstance(value, Tensor)
    ]
    require(
        not plain,
        subject.name,
        "tensors that follow it to another device",
        f"plain attributes: {', '.join(plain[:3])}",
        "make them buffers (register_buffer) or parameters, and keep no results",
    )
    with (
        attempt(
            subject.name,
            "running on another device (meta)",
            "keep tensors in buffers (register_buffer), make new ones by tensor.new_zeros(...), never branch on values",
        ),
        ShapesOnly(),
    ):
        results = subject.run(outline(subject.module), tuple(tensor.to("meta") for tensor in subject.inputs))
    require(
        all(result.device.type == "meta" for result in results),
        subject.name,
        "results on the device of its inputs",
        f"{', '.join(sorted({str(result.device) for result in results}))} for inputs on meta",
        "keep tensors in buffers (register_buffer) and make new ones by tensor.new_zeros(...)",
    )
