"""Heads with two convolutions."""

import torch
from torch import nn

from dichoseg.blocks import ConvNormAct, resize
from dichoseg.contracts import FeatureInfo, Features, Heads, Logits, Prediction


class WideHeads(Heads):
    """Heads of a 3x3 convolution, batch norm, ReLU and a 1x1 convolution per feature.

    The finest feature gives the final logits, the others give side logits.

    Args:
        feature_info: Channels and strides of the decoder's features.
        channels: Channels between the two convolutions.
    """

    def __init__(self, feature_info: FeatureInfo, *, channels: int = 32) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Sequential(ConvNormAct(before, channels), nn.Conv2d(channels, 1, 1))
            for before in feature_info.channels
        )

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return a prediction whose final logits have the image's size."""
        final, *sides = (
            head(feature) for head, feature in zip(self.maps, features, strict=True)
        )
        return Prediction(resize(final, size), tuple(sides), features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return only the final logits."""
        final: torch.Tensor = self.maps[0](features[0])
        return resize(final, size)
