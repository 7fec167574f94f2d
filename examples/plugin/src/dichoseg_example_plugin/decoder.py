"""A light top-down decoder."""

from torch import nn

from dichoseg.blocks import ConvNormAct, resize, spatial_size
from dichoseg.contracts import Decoder, FeatureInfo, Features


class LightDecoder(Decoder):
    """1x1 lateral convolutions to one width, summed from the coarsest feature to the finest.

    After feature pyramid networks (arXiv:1612.03144).

    Args:
        feature_info: The encoder's features.
        channels: Channels of every feature that comes out.
    """

    def __init__(self, feature_info: FeatureInfo, *, channels: int = 32) -> None:
        super().__init__()
        self.feature_info = FeatureInfo([channels] * len(feature_info.channels), feature_info.strides)
        self.lateral = nn.ModuleList(nn.Conv2d(before, channels, 1) for before in feature_info.channels)
        self.smooth = nn.ModuleList(ConvNormAct(channels, channels) for _ in feature_info.channels)

    def forward(self, features: Features) -> Features:
        """The encoder's features -> one feature each, at the same sizes."""
        lateral = [layer(feature) for layer, feature in zip(self.lateral, features, strict=True)]
        decoded = [self.smooth[-1](lateral[-1])]
        for smooth, skip in zip(self.smooth[-2::-1], lateral[-2::-1], strict=True):
            decoded.append(smooth(skip + resize(decoded[-1], spatial_size(skip))))
        return tuple(reversed(decoded))
