"""Conformance check of objectives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from ..contracts import Image, Mask, Objective, Prediction, Target
from ..runtime.seeding import seeded
from .common import ConformanceError, attempt, build, check_kind, draw_masks, require, require_copies, require_unchanged

_TARGET = (
    "the mask is target.mask, (B, 1, H, W); an objective for a model's extras is checked with "
    "check_objective(..., predict=model)"
)
_WEIGHT = "take the mask by target.unweighted_mask(self), which refuses weights, or multiply by target.weight"


class NeedsExtrasError(ConformanceError):
    """Error of `check_objective` for an objective that needs the `extras` of a model, which must be given."""


class _Extras(dict[str, Any]):
    """Extras of a prediction that remember which others were asked for."""

    def __init__(self, **held: Any) -> None:
        super().__init__(**held)
        self.asked: set[object] = set()

    def __contains__(self, key: object) -> bool:
        if not super().__contains__(key):
            self.asked.add(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default) if key in self else default

    def __missing__(self, key: str) -> Any:
        self.asked.add(key)
        raise KeyError(key)


def check_objective(
    make: Callable[[], Objective],
    *,
    predict: Callable[[Image], Prediction] | None = None,
    size: tuple[int, int] = (65, 97),
) -> None:
    """Check that an objective keeps to the contract.

    - `terms(prediction, target)` takes a `Target`, also without an image or with a clear ValueError, and returns named
      scalars that are finite, with a finite gradient, for hard, soft, empty and full masks and for a mask of one pixel.
    - The objective is the sum of its terms, and also takes a bare mask.
    - Pixel weights are used, or refused by a ValueError.
    - Its inputs are not changed, and repeated calls give the same values. It can be copied and pickled.

    Args:
        make: Class or function without arguments that builds the objective.
        predict: Function, such as a model, that makes predictions of images (B, 3, H, W). Default: random logits, side
            logits, edge logits and features; an objective for a model with `extras` needs that model.
        size: Height and width of the masks, best odd.
    """
    with seeded(0):
        objective = build("objective", make)
        name = type(objective).__name__
        check_kind(name, objective, Objective)
        image, asked = torch.rand(2, 3, *size), set[object]()

        def prediction() -> Prediction:
            made = _random_prediction(image) if predict is None else predict(image)
            if isinstance(made.extras, _Extras):
                made.extras.asked = asked
            return made

        try:
            for what, mask in draw_masks(size):
                _check_terms(f"{name} on {what} masks", objective, prediction(), Target(mask, image))
        except ConformanceError as error:
            if not asked:
                raise
            wanted = ", ".join(sorted(map(repr, asked)))
            raise NeedsExtrasError(f"{name}: needs a model's extras {wanted}; {_TARGET}") from error
        masks = dict(draw_masks(size))
        _check_sum(name, objective, prediction(), image, masks["hard"])
        _check_bare_mask(name, objective, prediction(), masks["hard"])
        _check_weight(name, objective, prediction(), Target(masks["hard"], image))
        require_copies(name, objective)


def _random_prediction(image: Image) -> Prediction:
    height, width = image.shape[-2:]

    def draw(channels: int, stride: int) -> Tensor:
        return torch.randn(len(image), channels, -(-height // stride), -(-width // stride), requires_grad=True)

    return Prediction(
        draw(1, 1),
        (draw(1, 2), draw(1, 4)),
        (draw(1, 1),),
        (draw(4, 2), draw(8, 4)),
        _Extras(check_objective=draw(1, 1)),
    )


def _tensors(prediction: Prediction) -> list[Tensor]:
    extras = [value for value in prediction.extras.values() if isinstance(value, Tensor)]
    return [prediction.logits, *prediction.side_logits, *prediction.edge_logits, *prediction.features, *extras]


def _check_terms(where: str, objective: Objective, prediction: Prediction, target: Target) -> None:
    """Check for named finite scalars with a finite gradient."""
    before = [tensor.detach().clone() for tensor in (*_tensors(prediction), target.mask)]
    with attempt(where, "terms(prediction, target)", _TARGET):
        terms: Any = objective.terms(prediction, target)
    require(
        isinstance(terms, dict) and bool(terms) and all(isinstance(name, str) for name in terms),
        where,
        "a dict of named terms",
        "an empty dict" if terms == {} else f"a {type(terms).__name__}",
        "return {'name': scalar}, one item for each logged term",
    )
    for name, value in terms.items():
        require(
            isinstance(value, Tensor) and value.ndim == 0 and bool(value.isfinite()),
            where,
            f"a finite scalar tensor for {name!r}",
            f"{value!r:.80}",
            "average over pixels, then over the batch; keep divisors away from 0",
        )
    total = torch.stack(list(terms.values())).sum()
    require(
        total.requires_grad, where, "terms with a gradient", "none", "do not detach or threshold the prediction's maps"
    )
    leaves = [tensor for tensor in _tensors(prediction) if tensor.requires_grad]
    with attempt(where, "the backward pass", "do not change in place tensors that a gradient needs"):
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    reached = [gradient for gradient in gradients if gradient is not None]
    require(
        bool(reached) and all(bool(gradient.isfinite().all()) for gradient in reached),
        where,
        "a finite gradient for the prediction",
        "none" if not reached else "values that are not finite",
        "compute in float32, and keep divisors and logarithms away from 0",
    )
    require_unchanged(where, before, [tensor.detach() for tensor in (*_tensors(prediction), target.mask)])


@torch.no_grad()
def _check_sum(name: str, objective: Objective, prediction: Prediction, image: Image, mask: Mask) -> None:
    """Check that the objective is the sum of its terms, at every call."""
    target = Target(mask, image)
    with attempt(name, "calling it a second time", "keep no running state"):
        wanted = float(sum(objective.terms(prediction, target).values()))
        values = [float(objective(prediction, target)) for _ in range(2)]
    for value in values:
        require(
            abs(value - wanted) <= 1e-4 * max(abs(wanted), 1e-2),
            name,
            f"the sum of its terms, {wanted:.6g}, whenever it is called",
            f"{value:.6g}",
            "leave forward as it is, and keep no running state",
        )


def _check_bare_mask(name: str, objective: Objective, prediction: Prediction, mask: Mask) -> None:
    """Check that a target without an image works, or is refused with a ValueError."""
    change = "raise ValueError('... needs Target(image=...)') if target.image is None"
    with suppress(ValueError), attempt(name, "a bare mask", change, allowed=ValueError):
        objective(prediction, mask)


@torch.no_grad()
def _check_weight(name: str, objective: Objective, prediction: Prediction, target: Target) -> None:
    """Check that pixel weights are used, or refused with a ValueError."""
    plain = float(objective(prediction, target))
    try:
        with attempt(name, "a target with pixel weights", _WEIGHT, allowed=ValueError):
            weighted = float(objective(prediction, target._replace(weight=torch.zeros_like(target.mask))))
    except ValueError:
        return
    require(
        weighted != plain,
        name,
        "pixel weights that are used, or refused by a ValueError",
        "the same value with all weights 0",
        _WEIGHT,
    )
