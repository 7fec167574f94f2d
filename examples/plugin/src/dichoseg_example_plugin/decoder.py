"""Decoder of 1x1 convolutions."""

import torch
from torch import nn

from dichoseg.blocks import ConvNormAct, resize, spatial_size
from dichoseg.contracts import Decoder, FeatureInfo, Features


class LightDecoder(Decoder):
    """Decoder that projects features to one width, resizes and mixes them.

    Source: the decoder of SegFormer (arXiv:2105.15203). Differs: no dropout.

    Args:
        feature_info: Channels and strides of the encoder's features.
        channels: Channels of the only output feature, at the finest stride.
    """

    def __init__(self, feature_info: FeatureInfo, *, channels: int = 64) -> None:
        super().__init__()
        self.feature_info = FeatureInfo([channels], feature_info.strides[:1])
        self.project = nn.ModuleList(
            nn.Conv2d(before, channels, 1) for before in feature_info.channels
        )
        self.mix = ConvNormAct(
            channels * len(feature_info.channels), channels, kernel_size=1
        )

    def forward(self, features: Features) -> Features:
        """Return one feature, at the finest feature's size."""
        size = spatial_size(features[0])
        projected = [
            project(feature)
            for project, feature in zip(self.project, features, strict=True)
        ]
        return (
            self.mix(
                torch.cat([resize(feature, size) for feature in projected], dim=1)
            ),
        )
