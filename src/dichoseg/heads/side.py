"""Heads with one convolution per feature."""

from __future__ import annotations

import torch
from torch import nn

from ..blocks import resize
from ..contracts import FeatureInfo, Features, Heads, Logits, Prediction


class SideHeads(Heads):
    """One 3x3 convolution per feature; the finest gives the final logits, the others give side logits.

    Source: IS-Net (arXiv:2203.03041), whose result is the finest map. Differs from the published code: it returns
    logits, and the side logits at their own sizes.

    Args:
        feature_info: Channels and strides of the input features.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.sides = _side_convolutions(feature_info)

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return the final logits, and side logits of the other features."""
        answer, *side_logits = (side(feature) for side, feature in zip(self.sides, features, strict=True))
        return Prediction(resize(answer, size), tuple(side_logits), features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return the finest map only."""
        return resize(self.sides[0](features[0]), size)


class FusedHeads(Heads):
    """One 3x3 convolution per feature, and a 1x1 convolution that fuses their maps to the final logits.

    Source: U²-Net (arXiv:2005.09007), section 3.2. The maps are fused at the image's size. Each is also returned as
    side logits, at its own size.

    Args:
        feature_info: Channels and strides of the input features.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.sides = _side_convolutions(feature_info)
        self.fuse = nn.Conv2d(len(feature_info.channels), 1, kernel_size=1)

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return side logits of every feature, and their fusion."""
        side_logits = tuple(side(feature) for side, feature in zip(self.sides, features, strict=True))
        fused = self.fuse(torch.cat([resize(logits, size) for logits in side_logits], dim=1))
        return Prediction(fused, side_logits, features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return the fused map only."""
        return self(features, size).logits


def _side_convolutions(feature_info: FeatureInfo) -> nn.ModuleList:
    """Return a 3x3 convolution to one channel for each feature."""
    return nn.ModuleList(nn.Conv2d(channels, 1, kernel_size=3, padding=1) for channels in feature_info.channels)
