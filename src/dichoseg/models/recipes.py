"""Published networks by name, and the function that makes a model from a name."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ..blocks import FusedHeads, RefinedHeads, SideHeads
from ..contracts import Decoder, Encoder, FeatureInfo, Model
from ..decoders.deconv import DeconvEnlarger
from ..decoders.edge_guided import EdgeGuidedDecoder
from ..decoders.rsu import RSUDecoder
from ..encoders.egnet import CaffeResNet50Encoder, VGG16Encoder
from ..encoders.rsu import RSUEncoder
from ..preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from ..registry import ComponentName, components, load_component
from .gt_encoder import GTEncoder
from .segmenter import Segmenter
from .weights.loading import load_weights

ISNET_INPUT = Preprocessing(antialias=False, to_uint8=True)
U2NET_INPUT = Preprocessing(size=320, antialias=False, scale="image_max", mean=IMAGENET_MEAN, std=IMAGENET_STD)
U2NET_STRIDES = (1, 2, 4, 8, 16, 32)
MASK_INPUT = Preprocessing(antialias=False, to_uint8=True, mean=(0.0,), source="mask")
ISNET_FEATURES = FeatureInfo((64, 64, 128, 256, 512, 512), (2, 4, 8, 16, 32, 64))


def create_model(
    name: str,
    *,
    weights: str | Path | None = None,
    preprocessing: Preprocessing | None = None,
    **recipe: Any,
) -> Model:
    """Make a model by name.

    `create_model("isnet", encoder="timm:convnext_tiny", encoder_args={"pretrained": True}, decoder="deconv")`

    The name and the arguments are kept in `model.recipe`, so that `save_model` and `load_model` can rebuild it.

    Args:
        name: A name in `list_components("models")`.
        weights: Weights to start from: a file or folder that `dichoseg.models.weights.load_weights` reads, such as
            the authors' `.pth` of a published network, an `.onnx` of one, or a saved model, whose preprocessing comes
            with it. A model from an `.onnx` file mostly needs `calibrate_batch_norm` before it can be trained.
        preprocessing: In place of the model's own; `dataclasses.replace(model.preprocessing, size=512)` makes one.
        **recipe: Arguments of the named recipe. For `"isnet"`: `encoder` and `decoder` (component names),
            `encoder_args` and `decoder_args` (dicts of their arguments). Plain JSON values.

    Raises:
        ValueError: An unknown name or argument, or weights that do not fit; the message names what would.
        TypeError: Arguments that are no plain values, or a component that makes something else than its kind.
        ImportError: A component that is installed but broken, or an `.onnx` without onnx.
        FileNotFoundError: No weights there.
    """
    make = load_component("models", name)
    accepted = inspect.signature(make).parameters
    forwards = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    unknown = sorted(set(recipe) - set(accepted))
    if unknown and not forwards:
        takes = ", ".join(accepted) or "none"
        raise ValueError(f"model {name!r} takes no {', '.join(unknown)}; its own arguments: {takes}")
    try:
        plain = json.loads(json.dumps(recipe))
    except TypeError as error:
        raise TypeError(
            f"create_model takes names and plain values ({error}); compose objects with Segmenter(encoder, decoder)"
        ) from error
    model: Model = _made(Model, make, name, **recipe)
    model.recipe = {"name": name, **plain}
    if weights is not None:
        load_weights(model, weights)
    if preprocessing is not None:
        model.preprocessing = preprocessing
    return model


def isnet(
    *,
    encoder: str = "rsu",
    decoder: str = "rsu",
    encoder_args: Mapping[str, Any] | None = None,
    decoder_args: Mapping[str, Any] | None = None,
) -> Segmenter:
    """IS-Net (arXiv:2203.03041): RSU stages behind a strided convolution; the finest of six maps is the answer.

    Args:
        encoder: Name of the encoder, as in `list_components("encoders")`.
        decoder: Name of the decoder.
        encoder_args: Arguments of the encoder.
        decoder_args: Arguments of the decoder, beside its `feature_info`.
    """
    made = _create_encoder(encoder, encoder_args or {})
    make_decoder = load_component("decoders", decoder)
    built: Decoder = _made(Decoder, make_decoder, decoder, made.feature_info, **(decoder_args or {}))
    published = isinstance(made, RSUEncoder)
    return Segmenter(made, built, preprocessing=ISNET_INPUT if published else None)


def isnet_gt_encoder(
    *, channels: Sequence[int] = ISNET_FEATURES.channels, strides: Sequence[int] = ISNET_FEATURES.strides
) -> GTEncoder:
    """IS-Net's GT encoder (arXiv:2203.03041, section 4.1). Its input is the mask.

    `GTEncoder.like(model)` names this recipe, so that what it makes can be saved and loaded alone.

    Args:
        channels: Channels of its features; the default is the published network.
        strides: Their strides.
    """
    return GTEncoder(FeatureInfo(channels, strides), preprocessing=MASK_INPUT)


def isnet_deconv() -> Segmenter:
    """The deconv tuning of IS-Net ("DECONV_TO_D2"), as its code defines it: six maps fused to the answer.

    Coarse features are enlarged to stage 2's size by transposed convolutions before their heads; intermediate
    supervision sees the raw ones.
    """
    encoder = RSUEncoder()
    decoder = RSUDecoder(encoder.feature_info)
    enlarger = DeconvEnlarger(decoder.feature_info)
    heads = RefinedHeads(enlarger, FusedHeads(enlarger.feature_info))
    # its published code trains on plain [0, 1]
    return Segmenter(encoder, decoder, heads, preprocessing=Preprocessing(mean=(0.0,)))


def isnet_deconv_gt_encoder() -> GTEncoder:
    """The GT encoder of the deconv tuning: IS-Net's, with enlarged features before its heads."""
    enlarger = DeconvEnlarger(ISNET_FEATURES)
    return GTEncoder(
        ISNET_FEATURES,
        heads=RefinedHeads(enlarger, SideHeads(enlarger.feature_info)),
        preprocessing=Preprocessing(mean=(0.0,), source="mask"),
    )


def u2net() -> Segmenter:
    """U²-Net (arXiv:2005.09007): RSU stages from the full resolution on; six maps fused to the answer."""
    encoder = RSUEncoder(strides=U2NET_STRIDES)
    decoder = RSUDecoder(encoder.feature_info)
    return Segmenter(encoder, decoder, FusedHeads(decoder.feature_info), preprocessing=U2NET_INPUT)


def u2netp() -> Segmenter:
    """The small U²-Net (arXiv:2005.09007): 64 channels everywhere, 16 inside the blocks.

    Small in parameters, not in memory: its finest stages work at the full resolution.
    """
    encoder = RSUEncoder(channels=(64,) * 6, mid_channels=(16,) * 6, strides=U2NET_STRIDES)
    decoder = RSUDecoder(encoder.feature_info, channels=(64,) * 5, mid_channels=(16,) * 5)
    return Segmenter(encoder, decoder, FusedHeads(decoder.feature_info), preprocessing=U2NET_INPUT)


def egnet_resnet50() -> Segmenter:
    """EGNet on ResNet-50 (arXiv:1908.08297): an edge map beside the answer, at the photograph's own size."""
    encoder = CaffeResNet50Encoder()
    return Segmenter(encoder, EdgeGuidedDecoder(encoder.feature_info))


def egnet_vgg16() -> Segmenter:
    """EGNet on VGG-16 (arXiv:1908.08297): an edge map beside the answer, at the photograph's own size."""
    encoder = VGG16Encoder()
    return Segmenter(encoder, EdgeGuidedDecoder(encoder.feature_info, project=False))


def _create_encoder(name: str, arguments: Mapping[str, Any]) -> Encoder:
    parts = ComponentName.parse(name)
    try:
        make = load_component("encoders", name.partition(":")[0])
    except ValueError:
        if all(component.name != parts.name for component in components("encoders")) and _is_backbone(name):
            raise ValueError(
                f"no {name!r} in dichoseg.encoders; timm's backbone of that name is 'timm:{name}'"
            ) from None
        raise
    positional = () if parts.argument is None else (parts.argument,)
    return cast(Encoder, _made(Encoder, make, name, *positional, **arguments))


def _is_backbone(name: str) -> bool:
    """Whether timm knows a backbone of that name."""
    import timm

    return bool(timm.is_model(name))


def _made(kind: Any, make: Any, name: str, *positional: Any, **arguments: Any) -> Any:
    """What a component of that name makes of its arguments; it must be of a kind."""
    try:
        inspect.signature(make).bind(*positional, **arguments)
    except TypeError as error:
        raise ValueError(f"{name!r} cannot be made from these arguments: {error}") from error
    made = make(*positional, **arguments)
    if not isinstance(made, kind):
        raise TypeError(f"{name!r} makes a {type(made).__name__}, which is no {kind.__name__} of dichoseg.contracts")
    return made
