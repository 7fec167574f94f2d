"""Encoder of masks, whose features supervise an image network."""

from __future__ import annotations

import dataclasses

from ..contracts import FeatureInfo, Heads, Model
from ..encoders.rsu import RSUEncoder
from ..preprocessing import Preprocessing
from .segmenter import Segmenter


class GTEncoder(Segmenter):
    """RSU stages that encode a mask, with heads that reconstruct it.

    It is a `Segmenter` without decoder, trained first, with `fit`. Its features then supervise an image network through
    `IntermediateSupervision`. It is not needed at inference.

    Source: IS-Net (arXiv:2203.03041), section 4.1; with IS-Net's `feature_info` it is the published network.

    Args:
        feature_info: Channels and strides of the features: those of the network to supervise.
        heads: Heads built for `feature_info`. Default: `SideHeads`.
        preprocessing: Size and resize policy of the masks. Default: 1024 pixels, stretched.
    """

    def __init__(
        self,
        feature_info: FeatureInfo,
        *,
        heads: Heads | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        channels, strides = feature_info
        encoder = RSUEncoder(
            in_channels=1,
            channels=channels,
            mid_channels=[max(out // (4 if index < 3 else 8), 1) for index, out in enumerate(channels)],
            strides=strides,
            stem_channels=16,
            stem_norm=True,
        )
        preprocessing = preprocessing or Preprocessing(mean=(0.0,), source="mask")
        super().__init__(encoder, None, heads, preprocessing=preprocessing)

    @classmethod
    def like(cls, model: Model) -> GTEncoder:
        """Make a GT encoder that can supervise `model`, with its feature shapes, size and resize policy."""
        preprocessing = dataclasses.replace(
            model.preprocessing, channel_order="rgb", scale="unit", mean=(0.0,), std=(1.0,), source="mask"
        )
        gt_encoder = cls(model.feature_info, preprocessing=preprocessing)
        channels, strides = model.feature_info
        gt_encoder.recipe = {"name": "isnet_gt_encoder", "channels": list(channels), "strides": list(strides)}
        return gt_encoder
