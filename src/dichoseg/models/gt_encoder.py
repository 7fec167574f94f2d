"""Encoder of masks, whose features supervise an image network."""

from __future__ import annotations

import dataclasses

from ..blocks import spatial_size
from ..contracts import FeatureInfo, Features, Heads, Image, Logits, Model, Prediction
from ..encoders.rsu import RSUEncoder
from ..heads.side import SideHeads
from ..preprocessing import Preprocessing


class GTEncoder(Model):
    """RSU stages that encode a mask, with heads that reconstruct it.

    It is trained first, with `fit`. Its features then supervise an image network through `IntermediateSupervision`.
    It is not needed at inference.

    Source: IS-Net (arXiv:2203.03041), section 4.1; with IS-Net's `feature_info` it is the published network.

    Args:
        feature_info: Channels and strides of its features: those of the network to be supervised.
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
        super().__init__()
        channels, strides = feature_info
        self.encoder = RSUEncoder(
            in_channels=1,
            channels=channels,
            mid_channels=[max(out // (4 if index < 3 else 8), 1) for index, out in enumerate(channels)],
            strides=strides,
            stem_channels=16,
            stem_norm=True,
        )
        self.heads = SideHeads(feature_info) if heads is None else heads
        self.feature_info = feature_info
        self.preprocessing = Preprocessing(mean=(0.0,), source="mask") if preprocessing is None else preprocessing

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

    def forward(self, image: Image) -> Prediction:
        """(B, 1, H, W) mask in [0, 1] -> `Prediction` with logits (B, 1, H, W)."""
        prediction: Prediction = self.heads(self.features(image), spatial_size(image))
        return prediction

    def logits(self, image: Image) -> Logits:
        """Return the final logits (B, 1, H, W), without the side heads."""
        return self.heads.logits(self.features(image), spatial_size(image))

    def features(self, image: Image) -> Features:
        """Return the features of the stages, without running the heads."""
        features: Features = self.encoder(image)
        return features
