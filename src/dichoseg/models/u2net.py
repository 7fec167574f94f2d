"""U²-Net, and the names of the weights in its published files, from the repository xuebinqin/U-2-Net."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import decoders, encoders, heads, models
from ..records import Published
from .isnet import rsu_stages, sides

if TYPE_CHECKING:
    from ..preprocessing import Preprocessing

STRIDES = (1, 2, 4, 8, 16, 32)


def u2net() -> models.Segmenter:
    """Build U²-Net (arXiv:2005.09007): RSU stages that start at full resolution; six maps fused to the result."""
    encoder = encoders.RSUEncoder(strides=STRIDES)
    decoder = decoders.RSUDecoder(encoder.feature_info)
    return models.Segmenter(encoder, decoder, heads.FusedHeads(decoder.feature_info), preprocessing=_input())


def u2netp() -> models.Segmenter:
    """Build the small U²-Net (arXiv:2005.09007): 64 channels everywhere, 16 inside the blocks.

    It is small in parameters, not in memory: its finest stages work at full resolution.
    """
    encoder = encoders.RSUEncoder(channels=(64,) * 6, mid_channels=(16,) * 6, strides=STRIDES)
    decoder = decoders.RSUDecoder(encoder.feature_info, channels=(64,) * 5, mid_channels=(16,) * 5)
    return models.Segmenter(encoder, decoder, heads.FusedHeads(decoder.feature_info), preprocessing=_input())


def _input() -> Preprocessing:
    from ..preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

    return Preprocessing(size=320, antialias=False, scale="image_max", mean=IMAGENET_MEAN, std=IMAGENET_STD)


U2NET = Published(
    names={
        **rsu_stages(range(1, 7)),
        **rsu_stages(range(5, 0, -1), suffix="d", ours="decoder"),
        **sides("heads.sides"),
        "outconv": "heads.fuse",
    },
    in_order=True,
)
