"""IS-Net, its deconv tuning, their GT encoders, and the names of the weights in their published files.

Sources of the names: the keys in files of the repositories xuebinqin/DIS and skuley/DIS-Multi-Gpus-Training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import decoders, encoders, models
from .. import heads as head_parts
from ..records import Names, Published
from ..registry import make_component

if TYPE_CHECKING:
    from ..preprocessing import Preprocessing

CHANNELS = (64, 64, 128, 256, 512, 512)
"""Channels of the features that the GT encoder supervises."""
STRIDES = (2, 4, 8, 16, 32, 64)


def isnet(
    *,
    encoder: str = "rsu",
    decoder: str = "rsu",
    heads: str | None = None,
    encoder_args: Mapping[str, Any] | None = None,
    decoder_args: Mapping[str, Any] | None = None,
) -> models.Segmenter:
    """Build IS-Net (arXiv:2203.03041): a strided convolution, then RSU stages; the finest of six maps is the result.

    Args:
        encoder: Name of the encoder, as in `list_components("encoders")`.
        decoder: Name of the decoder.
        heads: Name of the heads. Default: the decoder's own, else `"side"`.
        encoder_args: Arguments of the encoder.
        decoder_args: Arguments of the decoder, in addition to its `feature_info`.
    """
    features = make_component("encoders", encoder, **(encoder_args or {}))
    decoded = make_component("decoders", decoder, features.feature_info, **(decoder_args or {}))
    made_heads = None if heads is None else make_component("heads", heads, decoded.feature_info)
    is_published = isinstance(features, encoders.RSUEncoder)
    return models.Segmenter(features, decoded, made_heads, preprocessing=_input() if is_published else None)


def isnet_gt_encoder(*, channels: Sequence[int] = CHANNELS, strides: Sequence[int] = STRIDES) -> models.GTEncoder:
    """Build IS-Net's GT encoder (arXiv:2203.03041, section 4.1), whose input is the mask.

    `GTEncoder.like(model)` stores this recipe in its result, so that it can be saved and loaded on its own.

    Args:
        channels: Channels of its features; the default is the published network.
        strides: Strides of its features.
    """
    from ..contracts import FeatureInfo

    return models.GTEncoder(FeatureInfo(channels, strides), preprocessing=_input(mean=(0.0,), source="mask"))


def isnet_deconv() -> models.Segmenter:
    """Build the deconv tuning of IS-Net ("DECONV_TO_D2"), as its code defines it: six maps fused to the result.

    Coarse features are enlarged to stage 2's size by transposed convolutions before their heads; intermediate
    supervision uses the raw features.
    """
    encoder = encoders.RSUEncoder()
    decoder = decoders.RSUDecoder(encoder.feature_info)
    enlarger = decoders.DeconvEnlarger(decoder.feature_info)
    heads = head_parts.RefinedHeads(enlarger, head_parts.FusedHeads(enlarger.feature_info))
    return models.Segmenter(encoder, decoder, heads, preprocessing=_tuning_input())


def isnet_deconv_gt_encoder() -> models.GTEncoder:
    """Build the GT encoder of the deconv tuning: IS-Net's, with features enlarged before the heads."""
    from ..contracts import FeatureInfo

    feature_info = FeatureInfo(CHANNELS, STRIDES)
    enlarger = decoders.DeconvEnlarger(feature_info)
    heads = head_parts.RefinedHeads(enlarger, head_parts.SideHeads(enlarger.feature_info))
    return models.GTEncoder(feature_info, heads=heads, preprocessing=_tuning_input(source="mask"))


def _input(**changes: Any) -> Preprocessing:
    from ..preprocessing import Preprocessing

    return Preprocessing(antialias=False, to_uint8=True, **changes)


def _tuning_input(**changes: Any) -> Preprocessing:
    """Return the preprocessing of the tuning, whose published code trains on [0, 1] without normalization."""
    from ..preprocessing import Preprocessing

    return Preprocessing(mean=(0.0,), **changes)


def rsu_stages(numbers: Iterable[int], *, suffix: str = "", ours: str = "encoder") -> Names:
    """Return the names of the stages of IS-Net and U²-Net, numbered from 1."""
    names: Names = {}
    for number in numbers:
        depth = max(8 - number, 4)
        members = [("rebnconvin", "entry")]
        members += [(f"rebnconv{level}", f"down.{level - 1}") for level in range(1, depth + 1)]
        members += [(f"rebnconv{level}d", f"up.{level - 1}") for level in range(depth - 1, 0, -1)]
        names |= {
            f"stage{number}{suffix}.{member}.{part}": f"{ours}.stages.{number - 1}.{own}.{own_part}"
            for member, own in members
            for part, own_part in (("conv_s1", "conv"), ("bn_s1", "norm"))
        }
    return names


def sides(ours: str) -> Names:
    """Return the names of the six side heads."""
    return {f"side{number}": f"{ours}.{number - 1}" for number in range(1, 7)}


def _enlarger() -> Names:
    names: Names = {}
    for number in range(6, 2, -1):
        theirs, index = f"stage{number}up", number - 3
        for step in range(number - 2):
            names[f"{theirs}.n_upsample.{step}"] = f"heads.refine.enlarge.{index}.{step}"
        for conv in range(2):
            for part in ("conv", "norm"):
                names[f"{theirs}.nConvs.{conv}.{part}"] = f"heads.refine.join.{index}.{conv}.{part}"
    return names


_ENCODER = rsu_stages(range(1, 7))
_DECODER = rsu_stages(range(5, 0, -1), suffix="d", ours="decoder")
_MASK_STEM = {"conv_in.conv": "encoder.stem.conv", "conv_in.bn": "encoder.stem.norm"}
_DECONV_SIDES = sides("heads.heads.sides")

ISNET = Published(names={"conv_in": "encoder.stem", **_ENCODER, **_DECODER, **sides("heads.sides")}, in_order=True)
ISNET_GT_ENCODER = Published(names={**_MASK_STEM, **_ENCODER, **sides("heads.sides")}, in_order=True)
ISNET_DECONV = Published(
    names={
        "stage0": "encoder.stem",
        **_ENCODER,
        **_DECODER,
        **_enlarger(),
        **_DECONV_SIDES,
        "outconv": "heads.heads.fuse",
    }
)
ISNET_DECONV_GT_ENCODER = Published(names={**_MASK_STEM, **_ENCODER, **_enlarger(), **_DECONV_SIDES})
