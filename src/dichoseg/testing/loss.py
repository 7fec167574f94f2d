"""Conformance check of losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..contracts import Logits, Loss, Mask
from ..runtime.seeding import seeded
from .common import attempt, build, draw_masks, require, require_copies, require_unchanged

_STABLE = "compute it by F.binary_cross_entropy_with_logits, logsigmoid or softplus, and keep divisors away from 0"
_FULL = "compute inside of `with full_precision(logits, mask) as (logits, mask):` of dichoseg.blocks"
_HALVES = (torch.bfloat16, torch.float16)
_TYPES = [
    *((dtype, False) for dtype in (torch.float32, torch.float64, *_HALVES)),
    *((dtype, True) for dtype in _HALVES),
]
"""Dtypes of the logits, and whether autocast to them is on."""


def check_loss(
    make: Callable[[], Loss],
    *,
    per_image: bool = True,
    smooth: bool = True,
    answer: Callable[[Mask], Mask] | None = None,
    size: tuple[int, int] = (65, 97),
    device: str | torch.device = "cpu",
) -> None:
    """Check that a loss keeps to the contract.

    - It returns a scalar, finite and with a finite gradient, for hard, soft, empty and full masks and for a mask of one
      pixel, for random logits and for logits of ±100, right and wrong.
    - Half precision is raised to float32 before anything is computed, with and without autocast; float64 is kept.
    - Its gradient matches finite differences.
    - The loss of a batch is the mean of the losses of its images.
    - The right answer has a lower loss than its opposite.
    - Its inputs are not changed, and it keeps no state. A module can be copied and pickled.

    Args:
        make: Class or function without arguments that builds the loss, such as `lambda: MyLoss(gamma=0.5)`;
            `lambda: my_loss` for a loss that is a plain function.
        per_image: Whether the loss of a batch must be the mean over its images, so that accumulation and several
            processes change nothing. False for a loss that is published otherwise, and documents it.
        smooth: Whether its gradient must match finite differences. False for a loss that rounds or thresholds logits.
        answer: Function that makes the right answer from a mask (B, 1, H, W), such as an edge map. Default: the mask.
        size: Height and width of the masks, best odd.
        device: Device to compute on.
    """
    with seeded(0, device=torch.device(device)):
        loss = build("loss", make, change="give each argument a default; to check a plain function: lambda: my_loss")
        name = getattr(loss, "__name__", type(loss).__name__)
        require(callable(loss), name, "a callable that takes (logits, mask)", f"a {name}", "give it a forward")
        masks = {what: mask.to(device) for what, mask in draw_masks(size)}
        for each in (size, (size[1] - 1, size[0])):
            for what, mask in draw_masks(each):
                _check_numbers(name, loss, what, mask.to(device))
        _check_memory(name, loss, masks["hard"])
        _check_precision(name, loss, masks["hard"])
        if per_image:
            _check_mean(name, loss, masks["hard"])
        for what in ("hard", "empty", "full"):
            mask = masks[what]
            _check_order(name, loss, what, mask, mask if answer is None else answer(mask))
        if smooth:
            for what in ("hard", "soft"):
                _check_derivative(name, loss, what, masks[what])
        if isinstance(loss, nn.Module):  # a plain function need not pass this
            require_copies(name, loss)


def _check_numbers(name: str, loss: Loss, what: str, mask: Mask) -> None:
    """Check for a finite scalar with a finite gradient, for several logits and dtypes."""
    drawn = {
        "random": 3 * torch.randn_like(mask),
        "right": 200 * (mask > 0.5).to(mask.dtype) - 100,
        "wrong": 100 - 200 * (mask > 0.5).to(mask.dtype),
    }
    for kind, values in drawn.items():
        spread = "of about 3" if kind == "random" else "of ±100"
        for dtype, autocast in _TYPES:
            typed = f"{_short(dtype)} under autocast" if autocast else _short(dtype)
            where = f"{name}, {kind} logits {spread} in {typed}, {what} mask of {mask.shape[2]}x{mask.shape[3]}"
            logits = values.to(dtype, copy=True).requires_grad_()
            before = logits.detach().clone(), mask.clone()
            with (
                attempt(where, "the loss", "it takes logits and mask (B, 1, H, W) of any size and any float type"),
                torch.autocast(mask.device.type, dtype if autocast else torch.bfloat16, enabled=autocast),
            ):
                value = loss(logits, mask)
            _check_scalar(where, value)
            lowest = torch.float64 if dtype == torch.float64 else torch.float32
            require(value.dtype == lowest, where, f"a loss in {_short(lowest)}", _short(value.dtype), _FULL)
            require(bool(value.isfinite()), where, "a finite loss", float(value.detach()), _STABLE)
            with attempt(where, "the backward pass", "do not change in place tensors that a gradient needs"):
                value.backward()
            gradient = logits.grad
            require(
                gradient is not None and bool(gradient.isfinite().all()),
                where,
                "a finite gradient",
                "none" if gradient is None else f"{int((~gradient.isfinite()).sum())} values that are not",
                _STABLE,
            )
            require_unchanged(where, before, (logits.detach(), mask))


def _check_scalar(where: str, value: object) -> None:
    require(
        isinstance(value, Tensor) and value.ndim == 0,
        where,
        "a scalar, a tensor of shape ()",
        f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}",
        "average each image, then the batch: errors.flatten(1).mean(dim=1).mean()",
    )
    require(
        isinstance(value, Tensor) and value.requires_grad,
        where,
        "a loss with a gradient",
        "one without",
        "do not detach, round, threshold or .item() values computed from the logits",
    )


@torch.no_grad()
def _check_memory(name: str, loss: Loss, mask: Mask) -> None:
    """Check that repeated calls give the same value."""
    logits = 3 * torch.randn_like(mask)
    first, second = float(loss(logits, mask)), float(loss(logits, mask))
    require(
        first == second,
        name,
        "the same value whenever it is called",
        f"{first:.6g} and then {second:.6g}",
        "keep no running state and draw nothing, or a resumed run differs from an uninterrupted one",
    )


@torch.no_grad()
def _check_precision(name: str, loss: Loss, mask: Mask) -> None:
    """Check that half precision is raised before anything is computed."""
    for dtype in _HALVES:
        logits = (3 * torch.randn_like(mask)).to(dtype)
        with torch.autocast(mask.device.type, dtype):
            value = float(loss(logits, mask))
        wanted = float(loss(logits.float(), mask))
        require(
            _near(value, wanted),
            f"{name} of logits in {_short(dtype)}",
            f"{wanted:.6g}, as for the same logits in float32",
            f"{value:.6g}",
            _FULL,
        )


@torch.no_grad()
def _check_mean(name: str, loss: Loss, mask: Mask) -> None:
    logits = 3 * torch.randn_like(mask)
    alone = [float(loss(logits[index : index + 1], mask[index : index + 1])) for index in range(2)]
    wanted, value = sum(alone) / 2, float(loss(logits, mask))
    require(
        _near(value, wanted),
        name,
        f"{wanted:.6g} for a batch of two images, the mean of their losses {alone[0]:.6g} and {alone[1]:.6g}",
        f"{value:.6g}",
        "average within each image first, errors.flatten(1).mean(dim=1), then over the batch; check a loss "
        "that is published otherwise with per_image=False, and document it",
    )


@torch.no_grad()
def _check_order(name: str, loss: Loss, what: str, mask: Mask, right: Mask) -> None:
    """Check that right costs less than wrong; on an empty or a full mask it may cost the same."""
    logits: Logits = 40 * (right > 0.5).to(mask.dtype) - 20
    best, worst = float(loss(logits, mask)), float(loss(-logits, mask))
    require(
        best < worst if what == "hard" else best <= worst,
        f"{name} on a {what} mask",
        "less for the right answer than for its opposite",
        f"{best:.4g} and {worst:.4g}",
        "a loss falls as the answer improves: look for a wrong sign, or for probabilities used as logits; check a loss "
        "whose right answer is not the mask with answer=",
    )


def _check_derivative(name: str, loss: Loss, what: str, mask: Mask) -> None:
    """Compare the slope along a random direction by the gradient and by finite differences."""
    mask = mask.double()
    logits = (2 * torch.randn_like(mask)).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, mask), logits)
    direction, step = torch.randn_like(mask), 1e-5
    with torch.no_grad():
        ahead, behind = (float(loss(logits + sign * step * direction, mask)) for sign in (1, -1))
    slope, wanted = float((gradient * direction).sum()), (ahead - behind) / (2 * step)
    require(
        abs(slope - wanted) <= 1e-3 * float(gradient.norm()) + 1e-9,
        f"{name} on a {what} mask",
        f"a gradient that is the slope of the loss, {wanted:.4g} along a random direction",
        f"{slope:.4g}",
        "let gradients through all of it: no detach() or no_grad() on values computed from the logits; check a loss "
        "that rounds or thresholds them with smooth=False",
    )


def _near(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= 1e-4 * max(abs(wanted), 1e-2)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
