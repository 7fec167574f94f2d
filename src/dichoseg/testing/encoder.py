"""Conformance check of encoders."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ..blocks import spatial_size
from ..contracts import Encoder, Features, Image
from ..runtime.seeding import seeded
from .common import (
    attempt,
    build,
    check_feature_info,
    check_features,
    check_kind,
    check_preprocessing,
    require,
    shapes,
)
from .module import Subject, check_module


def check_encoder(make: Callable[[], Encoder], *, channels: int = 3, size: tuple[int, int] = (65, 97)) -> None:
    """Check that an encoder keeps to the contract.

    - Its `feature_info` matches its features, finest first, at `size` and at the next multiples of the coarsest stride:
      each side is within a pixel of the image's side divided by the stride, or exactly that of an image resized to
      those multiples.
    - In eval mode the features of an image do not depend on the others in the batch.
    - A gradient reaches each parameter; the input is not changed.
    - It can be copied and pickled, and is restored from its `state_dict`.
    - It runs under bfloat16 autocast and on other devices.
    - It has the preprocessing that it was made for.

    An encoder may reject `size` with a ValueError; it is then checked at the multiples only.

    Args:
        make: Class or function without arguments that builds the encoder, such as
            `lambda: TimmEncoder("convnext_tiny")`.
        channels: Number of channels of the image; 1 for an encoder of masks.
        size: Height and width of the images to try, best odd.
    """
    with seeded(0):
        encoder = build("encoder", make)
        name = type(encoder).__name__
        check_kind(name, encoder, Encoder)
        check_feature_info(name, encoder)
        check_preprocessing(
            name, encoder, "say what input it was made for, such as Preprocessing(mean=(0.485, 0.456, 0.406), std=...)"
        )
        image = torch.randn(2, channels, *_multiples(encoder, size))
        _check_sizes(name, encoder, image)
        odd = torch.randn(2, channels, *size)
        if not _refuses(encoder, odd):
            image = odd
            _check_sizes(name, encoder, image)
        check_module(Subject(name, encoder, make, _run, (image,)))
        check_features(f"{name}, in train mode", encoder.train()(image), encoder.feature_info, batch=2)


def _multiples(encoder: Encoder, size: tuple[int, int]) -> tuple[int, int]:
    """Round a size up to multiples of the coarsest stride."""
    coarsest = encoder.feature_info.strides[-1]
    return math.ceil(size[0] / coarsest) * coarsest, math.ceil(size[1] / coarsest) * coarsest


def _run(encoder: Any, inputs: Features) -> Features:
    features: Features = encoder(*inputs)
    return features


@torch.no_grad()
def _refuses(encoder: Encoder, image: Image) -> bool:
    """Return whether the encoder rejects this size with a ValueError."""
    try:
        encoder.eval()(image)
    except ValueError:
        return True
    except Exception:  # the check of sizes reports it
        return False
    return False


@torch.no_grad()
def _check_sizes(name: str, encoder: Encoder, image: Image) -> None:
    """Check the features in eval mode against `feature_info`."""
    size = spatial_size(image)
    where = f"{name}, on images of {size[0]} by {size[1]} pixels"
    change = "take any size; if it cannot, resize the image, or raise a ValueError that says which sizes it takes"
    with attempt(where, "forward", change):
        features = encoder.eval()(image)
    info = encoder.feature_info
    check_features(where, features, info, batch=len(image))
    multiples = _multiples(encoder, size)
    for feature, stride in zip(features, info.strides, strict=True):
        height, width = came = spatial_size(feature)
        near = abs(height - size[0] / stride) <= 1 and abs(width - size[1] / stride) <= 1
        require(
            near or came == (multiples[0] // stride, multiples[1] // stride),  # some resize the image first
            where,
            f"about {size[0] / stride:g} by {size[1] / stride:g} at stride {stride}",
            f"{height} by {width} (shapes {shapes(features)})",
            f"correct feature_info.strides {info.strides}, or put the finest feature first",
        )
