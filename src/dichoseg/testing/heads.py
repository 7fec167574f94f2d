"""Conformance check of heads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ..contracts import FeatureInfo, Features, Heads
from ..runtime.seeding import seeded
from .common import FEATURE_INFOS, attempt, build, check_kind, draw_features, require, shapes
from .module import Subject, check_module
from .prediction import check_final_logits, check_form, check_prediction

_ANY = "take any number of features, or name the decoders that they are for: check_heads(feature_infos=...)"


def check_heads(
    make: Callable[[FeatureInfo], Heads],
    *,
    feature_infos: Sequence[FeatureInfo] = FEATURE_INFOS,
    size: tuple[int, int] = (65, 97),
) -> None:
    """Check that heads keep to the contract.

    - They are built for several decoders, and make a `Prediction`: logits at the image's size, also if that is odd,
      side logits that do not repeat them, and the features that came in.
    - `logits(features, size)` gives the logits of the prediction.
    - In eval mode the result for an image does not depend on the others in the batch.
    - A gradient reaches each parameter; the inputs are not changed.
    - They can be copied and pickled, and are restored from their `state_dict`.
    - They run on other devices, and under bfloat16 autocast.

    Args:
        make: Class or function that builds the heads from a `FeatureInfo`.
        feature_infos: Features to build them for; heads for certain decoders name theirs.
        size: Height and width of the image, best odd.
    """
    with seeded(0):
        for info in feature_infos:
            heads = build("heads", make, info, change=f"give each other argument a default, and {_ANY}")
            name = f"{type(heads).__name__} for strides {info.strides}"
            check_kind(name, heads, Heads)
            features = draw_features(info, size)
            with attempt(name, "forward", f"resize logits to the image's size; {_ANY}"):
                heads.eval()(features, size)
            check_heads_prediction(name, heads, features, size)
            check_module(Subject(name, heads, functools.partial(make, info), functools.partial(_run, size), features))


@torch.no_grad()
def check_heads_prediction(name: str, heads: Heads, features: Features, size: tuple[int, int]) -> None:
    """Check the prediction of heads, and that `logits` gives its final logits."""
    prediction = heads.eval()(features, size)
    check_form(name, prediction, batch=len(features[0]), size=size)
    check_prediction(name, prediction)
    require(
        len(prediction.features) == len(features) and all(map(torch.equal, prediction.features, features)),
        name,
        "the features that came in, in features",
        f"features of shapes {shapes(prediction.features)}",
        "Prediction(..., features=features): intermediate supervision compares them with the GT encoder's",
    )
    check_final_logits(name, prediction, heads.logits(features, size), "heads.logits(features, size)")


def _run(size: tuple[int, int], heads: Any, features: Features) -> Features:
    prediction = heads(features, size)
    extras = (value for value in tree_leaves(prediction.extras) if isinstance(value, Tensor))
    return (prediction.logits, *prediction.side_logits, *prediction.edge_logits, *extras)
