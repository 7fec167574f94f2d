"""Helpers of all conformance checks: the error, how to raise it, and checks of features."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..contracts import FeatureInfo, Features, Mask, Preprocessing

T = TypeVar("T")

TOLERANCE = 1e-3
"""Largest `difference` of two results that should be equal."""
DEFAULTS = "give each argument a default, or check a function that passes them, lambda: MyPart(...)"


class ConformanceError(AssertionError):
    """Violation of the contract. The message names the expected value, the value found, and the fix."""


def require(fulfilled: bool, name: str, wanted: str, got: object, change: str) -> None:
    """Raise a ConformanceError about `name` unless `fulfilled`."""
    if not fulfilled:
        raise ConformanceError(f"{name}: wanted {wanted}; got {got}; {change}")


@contextmanager
def attempt(name: str, action: str, change: str, *, allowed: type[Exception] = ConformanceError) -> Iterator[None]:
    """Turn any exception but an `allowed` one into a ConformanceError about `name`; `action` is what failed."""
    try:
        yield
    except (ConformanceError, allowed):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise ConformanceError(f"{name}: {action} fails with {type(error).__name__}: {lines[0]}; {change}") from error


def build(role: str, make: Callable[..., T], *arguments: Any, change: str = DEFAULTS) -> T:
    """Call `make` to build the component; `change` is the advice if that fails."""
    function = getattr(make, "func", make)  # of functools.partial
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(make, nn.Module) or not callable(make):
        raise TypeError(
            f"check_{role} takes a class or function that builds the {role}, as an entry point does: {name}, or "
            f"lambda: {name}(...); got an instance of {name}"
        )
    given = f"from {arguments[0]} alone" if arguments else "without arguments"
    with attempt(name, f"building it {given}", change):
        return make(*arguments)


def require_type(name: str, value: object, kind: type, change: str, *, place: str = "") -> None:
    """Require a value of a type; `place` follows the type in the message."""
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    require(isinstance(value, kind), name, f"{article} {kind.__name__}{place}", f"a {type(value).__name__}", change)


def check_kind(name: str, part: Any, kind: type) -> None:
    """Check that a component is an instance of one of the contract's classes."""
    require_type(name, part, kind, f"derive it from dichoseg.contracts.{kind.__name__}")


def shapes(tensors: Sequence[Tensor]) -> list[tuple[int, ...]]:
    """Return the shapes of tensors, for a message."""
    return [tuple(tensor.shape) for tensor in tensors]


def difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Return the largest difference, relative to the largest wanted value if that is above 1; inf if shapes differ."""
    if shapes(found) != shapes(wanted):
        return math.inf
    distances = [
        float((one.double() - other.double()).abs().max() / other.double().abs().max().clamp(min=1))
        for one, other in zip(found, wanted, strict=True)
    ]
    return max((math.inf if math.isnan(distance) else distance for distance in distances), default=0.0)


def require_same(name: str, found: Sequence[Tensor], wanted: Sequence[Tensor], what: str, change: str) -> None:
    """Require results that are equal up to rounding; `what` says which."""
    apart = difference(found, wanted)
    sizes = f" (shapes {shapes(found)} and {shapes(wanted)})" if shapes(found) != shapes(wanted) else ""
    require(apart < TOLERANCE, name, what, f"a difference of {apart:.2g}{sizes}", change)


def require_unchanged(name: str, before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    """Require that inputs equal their copies from before the call."""
    change = "change nothing in place: avoid inplace=True, methods that end in an underscore, and +="
    require(all(map(torch.equal, before, after)), name, "inputs that are not changed", "changed ones", change)


def require_copies(name: str, part: nn.Module) -> None:
    """Require that a component can be copied and pickled."""
    with attempt(name, "copying and pickling it", "keep no lambdas, local functions or results in attributes"):
        pickle.loads(pickle.dumps(copy.deepcopy(part)))


def check_feature_info(name: str, part: Any) -> None:
    """Check that `part.feature_info` is a `FeatureInfo`."""
    change = "set self.feature_info = FeatureInfo(channels, strides) in __init__"
    require_type(name, getattr(part, "feature_info", None), FeatureInfo, change, place=" in feature_info")


def check_preprocessing(name: str, part: Any, change: str) -> None:
    """Check that `part.preprocessing` is a `Preprocessing`."""
    require_type(name, getattr(part, "preprocessing", None), Preprocessing, change, place=" in preprocessing")


def check_features(name: str, features: Any, info: FeatureInfo, *, batch: int) -> None:
    """Check for a tuple of finite tensors with the channels of `info`, finest first."""
    require(
        isinstance(features, tuple) and all(isinstance(feature, Tensor) for feature in features),
        name,
        "a tuple of tensors",
        f"a {type(features).__name__}",
        "return tuple(features)",
    )
    require(
        len(features) == len(info.channels),
        name,
        f"{len(info.channels)} features, as feature_info.channels {info.channels} says",
        f"{len(features)} of shapes {shapes(features)}",
        "make the two agree",
    )
    came = tuple(feature.shape[1] if feature.ndim == 4 else None for feature in features)
    order = "; they come coarsest first: reverse them" if came == info.channels[::-1] != info.channels else ""
    require(
        came == info.channels and all(len(feature) == batch for feature in features),
        name,
        f"(B, C, h, w) with channels {info.channels} for a batch of {batch}, as feature_info says",
        f"{shapes(features)}{order}",
        "a backbone that works channels-last needs feature.permute(0, 3, 1, 2)"
        if tuple(feature.shape[-1] for feature in features) == info.channels
        else "make the two agree",
    )
    check_finite(name, features)


def check_finite(name: str, tensors: Sequence[Tensor]) -> None:
    """Check that tensors are floating-point and finite."""
    for index, tensor in enumerate(tensors):
        require(
            tensor.is_floating_point() and bool(tensor.isfinite().all()),
            name,
            "finite numbers",
            f"{tensor.dtype} with {int((~tensor.isfinite()).sum())} that are not, in result {index}",
            "look for divisions, logarithms and roots of values that may be 0",
        )


FEATURE_INFOS = (
    FeatureInfo((4, 4, 8, 8, 12, 12), (2, 4, 8, 16, 32, 64)),  # IS-Net's strides
    FeatureInfo((4, 8, 8, 8), (1, 2, 4, 8)),  # starts at the image's own size, as in U²-Net
    FeatureInfo((4, 8, 12, 16), (4, 8, 16, 32)),  # most backbones of timm
    FeatureInfo((4, 8, 8, 12, 12), (2, 4, 8, 16, 16)),  # EGNet's ResNet: the last two have the same size
    FeatureInfo((6, 8), (4, 16)),  # only two, four times apart
)
"""Channels and strides of common encoders."""


def draw_features(
    info: FeatureInfo, size: tuple[int, int], *, rounded: Callable[[float], int] = math.ceil, batch: int = 2
) -> Features:
    """Draw random features for an image of (height, width) `size`; `rounded` rounds their sides."""
    return tuple(
        torch.randn(batch, channels, *(max(1, rounded(side / stride)) for side in size))
        for channels, stride in zip(*info, strict=True)
    )


def draw_masks(size: tuple[int, int]) -> Iterator[tuple[str, Mask]]:
    """Yield kinds of masks, each with a batch of two (2, 1, H, W)."""
    height, width = size
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    disc = (rows - 0.2) ** 2 + (columns + 0.1) ** 2 < 0.3
    strip = (rows - columns / 2).abs() < 0.1
    pixel = torch.zeros(2, 1, height, width)
    pixel[:, :, height // 2, width // 3] = 1
    yield "hard", torch.stack([disc, strip])[:, None].float()
    yield "soft", torch.rand(2, 1, height, width)
    yield "empty", torch.zeros(2, 1, height, width)
    yield "full", torch.ones(2, 1, height, width)
    yield "one-pixel", pixel
