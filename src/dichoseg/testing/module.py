"""What is asked of every module with tensors in and tensors out, whatever it computes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Features
from ..tracing import outline
from .common import TOLERANCE, attempt, check_finite, difference, require


@dataclass
class Subject:
    """A module under examination."""

    name: str
    """What messages call it."""
    module: nn.Module
    """The module itself; its weights and its mode may change."""
    make: Callable[[], nn.Module]
    """Builds another one."""
    run: Callable[[Any, Features], Features]
    """Calls a module on inputs: a tuple of tensors in, a tuple of tensors out."""
    inputs: Features
    """Batches of two."""


def check_module(subject: Subject) -> None:
    """All that this file asks of an encoder or a decoder."""
    check_evaluation(subject)
    check_gradients(subject)
    check_copies(subject)
    check_state(subject)
    check_places(subject)


def check_evaluation(subject: Subject) -> None:
    """In eval mode: inputs stay as they are, and what comes out for one image does not depend on the others."""
    subject.module.eval()
    before = [tensor.clone() for tensor in subject.inputs]
    with torch.no_grad():
        together = subject.run(subject.module, subject.inputs)
        require(
            all(map(torch.equal, subject.inputs, before)),
            subject.name,
            "inputs that stay as they are",
            "changed ones",
            "its first layer works in place: leave out inplace=True (and relu_, add_, +=) there",
        )
        again = subject.run(subject.module, subject.inputs)
        require(
            difference(again, together) < TOLERANCE,
            subject.name,
            "the same result twice in eval mode",
            f"a difference of {difference(again, together):.2g}",
            "nothing may be random or count its calls in eval mode: pass self.training to dropout",
        )
        with attempt(subject.name, "a batch of one, in eval mode,", "take any batch size"):
            alone = subject.run(subject.module, tuple(tensor[:1] for tensor in subject.inputs))
        apart = difference(alone, [result[:1] for result in together])
    require(
        apart < TOLERANCE,
        subject.name,
        "the same result for an image alone and in a batch of two, in eval mode",
        f"a difference of {apart:.2g}",
        "normalise with statistics of the image itself or running ones, never with the batch's",
    )


def check_gradients(subject: Subject) -> None:
    """In train mode: a gradient for each parameter that asks for one."""
    asking = {name: value for name, value in subject.module.train().named_parameters() if value.requires_grad}
    if not asking:
        return
    subject.module.zero_grad(set_to_none=True)
    with attempt(subject.name, "a training step", "do not change in place what a gradient needs, and do not detach"):
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
    """After a training step: copies by `copy.deepcopy`, which `Predictor` makes, and by `pickle`, for processes."""
    with attempt(
        subject.name, "copy.deepcopy of it", "keep no results between calls, no open files and no locks: pass them on"
    ):
        copied = copy.deepcopy(subject.module.eval()).eval()  # as `Predictor` does
    apart = difference(subject.run(copied, subject.inputs), subject.run(subject.module, subject.inputs))
    require(
        apart < TOLERANCE,
        subject.name,
        "a copy.deepcopy that computes the same",
        f"a difference of {apart:.2g}",
        "keep what it computes with in parameters, buffers and submodules",
    )
    with attempt(
        subject.name, "pickling it", "keep no lambdas or local functions in attributes; its class stands in a module"
    ):
        pickle.loads(pickle.dumps(outline(copied)))


@torch.no_grad()
def check_state(subject: Subject) -> None:
    """Another one with the same `state_dict` computes the same."""
    wanted = subject.run(subject.module.eval(), subject.inputs)
    other = subject.make().eval()
    with attempt(subject.name, "load_state_dict of another one's", "building it twice must give the same layers"):
        other.load_state_dict(subject.module.state_dict())
    apart = difference(subject.run(other, subject.inputs), wanted)
    require(
        apart < TOLERANCE,
        subject.name,
        "the same result from another one that has loaded its state_dict",
        f"a difference of {apart:.2g}",
        "it holds numbers that state_dict does not: make them parameters, or buffers with register_buffer",
    )


@torch.no_grad()
def check_places(subject: Subject) -> None:
    """It runs under bfloat16 autocast, and on another device (the meta device, which has shapes alone)."""
    with (
        attempt(subject.name, "running under bfloat16 autocast", "bring tensors to one dtype before they are joined"),
        torch.autocast("cpu", torch.bfloat16),
    ):
        halves = subject.run(subject.module.eval(), subject.inputs)
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
        "keep what it computes with by register_buffer or as a parameter, and results not at all",
    )
    with attempt(
        subject.name,
        "running on another device (meta)",
        "keep tensors in buffers (register_buffer), make new ones by tensor.new_zeros(...), never branch on values",
    ):
        results = subject.run(outline(subject.module), tuple(tensor.to("meta") for tensor in subject.inputs))
    require(
        all(result.device.type == "meta" for result in results),
        subject.name,
        "results on the device of its inputs",
        f"{', '.join(sorted({str(result.device) for result in results}))} for inputs on meta",
        "keep tensors in buffers (register_buffer) and make new ones by tensor.new_zeros(...)",
    )
