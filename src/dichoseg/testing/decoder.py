"""Conformance check of decoders."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..blocks import spatial_size
from ..contracts import Decoder, FeatureInfo, Features
from ..heads.side import SideHeads
from ..runtime.seeding import seeded
from .common import (
    FEATURE_INFOS,
    attempt,
    build,
    check_feature_info,
    check_features,
    check_kind,
    draw_features,
    require,
    require_same,
)
from .heads import check_heads_prediction
from .module import Subject, check_evaluation, check_gradients, check_module

_OWN_SIZE = "always resize to the skip's own size: resize(feature, spatial_size(skip)), both of dichoseg.blocks"


def check_decoder(
    make: Callable[[FeatureInfo], Decoder],
    *,
    feature_infos: Sequence[FeatureInfo] = FEATURE_INFOS,
    size: tuple[int, int] = (65, 97),
) -> None:
    """Check that a decoder keeps to the contract.

    - It is built for several encoders, and tried on features whose sides are rounded up, as in RSU encoders, and down,
      as in many backbones. A feature with the stride of a skip has the skip's own size.
    - Its `feature_info` matches its features.
    - Tracing it for export freezes no comparison of sizes.
    - Its heads (`default_heads`, else `SideHeads`) make a prediction.
    - In eval mode the features of an image do not depend on the others in the batch.
    - A gradient reaches each parameter and the coarsest feature; the inputs are not changed.
    - It can be copied and pickled, and is restored from its `state_dict`; it runs on other devices, and under bfloat16
      autocast with features of two dtypes. These are tried for the first encoder only.

    Args:
        make: Class or function that builds the decoder from a `FeatureInfo`, such as
            `lambda info: MyDecoder(info, channels=16)`.
        feature_infos: Features to build it for; a decoder for certain encoders names theirs.
        size: Height and width of the image behind the features, best odd.
    """
    with seeded(0):
        for index, info in enumerate(feature_infos):
            _check_for(info, make, size, whole=index == 0)


def _check_for(
    info: FeatureInfo, make: Callable[[FeatureInfo], Decoder], size: tuple[int, int], *, whole: bool
) -> None:
    """Check a decoder for one encoder; what hardly depends on the encoder, only for the `whole` check."""
    change = "take any number of features, or name the encoders that it is for: check_decoder(feature_infos=...)"
    decoder = build("decoder", make, info, change=change)
    name = f"{type(decoder).__name__} for strides {info.strides}"
    check_kind(name, decoder, Decoder)
    check_feature_info(name, decoder)
    for rounded in (math.ceil, math.floor):
        _check_sizes(name, decoder, info, draw_features(info, size, rounded=rounded), size)
    features = draw_features(info, size, rounded=math.floor)
    subject = Subject(name, decoder, lambda: make(info), _run, features)
    if whole:
        check_module(subject)
        _check_mixed_dtypes(name, decoder, features)
    else:
        check_evaluation(subject)
        check_gradients(subject)
    _check_coarsest(name, decoder, features)
    _check_trace(name, decoder, info, size)
    with attempt(name, "making a prediction by its heads", "default_heads builds heads from its feature_info"):
        heads = (type(decoder).default_heads or SideHeads)(decoder.feature_info)
        with torch.no_grad():
            decoded = decoder.eval()(features)
        check_heads_prediction(f"{name}, {type(heads).__name__}", heads, decoded, size)


def _run(decoder: Any, inputs: Features) -> Features:
    features: Features = decoder(inputs)
    return features


@torch.no_grad()
def _check_sizes(name: str, decoder: Decoder, info: FeatureInfo, features: Features, size: tuple[int, int]) -> None:
    sizes = [spatial_size(feature) for feature in features]
    with attempt(name, f"forward on features of {_listed(sizes)}", f"if sizes do not fit, {_OWN_SIZE}"):
        decoded = decoder.eval()(features)
    check_features(name, decoded, decoder.feature_info, batch=2)
    skips = dict(zip(info.strides, sizes, strict=True))
    finest = info.strides[0]
    for index, (feature, stride) in enumerate(zip(decoded, decoder.feature_info.strides, strict=True)):
        came = spatial_size(feature)
        if stride in skips:
            fits, wanted = came == skips[stride], f"{_listed([skips[stride]])}, its skip's size"
        else:  # no skip has this stride
            near = max(1, finest / stride)
            fits = all(abs(side - full / stride) <= near for side, full in zip(came, size, strict=True))
            wanted = f"about {size[0] / stride:g} by {size[1] / stride:g}"
        require(
            fits,
            name,
            f"{wanted} for feature {index} of stride {stride}",
            f"{_listed([came])} from features of {_listed(sizes)}",
            f"{_OWN_SIZE}; or correct feature_info",
        )


def _check_coarsest(name: str, decoder: Decoder, features: Features) -> None:
    """Check that a gradient reaches the coarsest feature."""
    coarsest = features[-1].clone().requires_grad_()
    decoded = decoder.train()((*features[:-1], coarsest))
    total = torch.stack([(feature * torch.randn_like(feature)).mean() for feature in decoded]).sum()
    gradient = torch.autograd.grad(total, coarsest, allow_unused=True)[0] if total.requires_grad else None
    require(
        gradient is not None and bool(gradient.any()),
        name,
        "a gradient for the coarsest feature",
        "none",
        "use it, or the encoder's last stage is never trained",
    )


@torch.no_grad()
def _check_mixed_dtypes(name: str, decoder: Decoder, features: Features) -> None:
    """Check features of two dtypes: autocast gives float32 after some norms and bfloat16 after convolutions."""
    mixed = tuple(feature.bfloat16() if index % 2 else feature for index, feature in enumerate(features))
    with (
        attempt(name, "bfloat16 autocast, with features of two dtypes,", "convert them to one dtype before joining"),
        torch.autocast("cpu", torch.bfloat16),
    ):
        check_features(f"{name}, under bfloat16 autocast", decoder.eval()(mixed), decoder.feature_info, batch=2)


@torch.no_grad()
def _check_trace(name: str, decoder: Decoder, info: FeatureInfo, size: tuple[int, int]) -> None:
    """Trace on a size that all strides divide, as for export, and run on another."""
    coarsest = max(info.strides[-1], decoder.feature_info.strides[-1])
    even = (math.ceil(size[0] / coarsest) * coarsest, math.ceil(size[1] / coarsest) * coarsest)
    change = f"never compare sizes or turn them into numbers, which is frozen in an exported file: {_OWN_SIZE}"
    with attempt(name, "running its trace on another size", change), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and warns of the values that it freezes
        traced = torch.jit.trace(decoder.eval(), (draw_features(info, even, batch=1),), check_trace=False)
        for rounded in (math.ceil, math.floor):
            features = draw_features(info, size, rounded=rounded)
            what = f"the same result from a trace made at {even[0]}x{even[1]} pixels and run at {size[0]}x{size[1]}"
            require_same(name, traced(features), decoder(features), what, change)


def _listed(sizes: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{height}x{width}" for height, width in sizes)
