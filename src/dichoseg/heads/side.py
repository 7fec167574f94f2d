"""Heads of one convolution per feature."""

from __future__ import annotations

import torch
from torch import nn

from ..blocks import resize
from ..contracts import FeatureInfo, Features, Heads, Logits, Prediction


class SideHeads(Heads):
    """One 3x3 convolution per feature; the finest gives the answer, the others side logits at their own sizes.

    Source: IS-Net (arXiv:2203.03041), whose answer is the finest map. Differs from the published code in
    returning logits, and side logits before they are resized.

    Args:
        feature_info: The features that come in.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.sides = nn.ModuleList(
            nn.Conv2d(channels, 1, kernel_size=3, padding=1) for channels in feature_info.channels
        )

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Side logits for every feature."""
        answer, *side_logits = (side(feature) for side, feature in zip(self.sides, features, strict=True))
        return Prediction(resize(answer, size), tuple(side_logits), features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The finest map alone."""
        return resize(self.sides[0](features[0]), size)


class FusedHeads(Heads):
    """One 3x3 convolution per feature and a 1x1 convolution over all their maps, which gives the answer.

    Source: U²-Net (arXiv:2005.09007), section 3.2. The maps are fused at the image's size; each is a side logit
    as well, at its own size.

    Args:
        feature_info: The features that come in.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.sides = nn.ModuleList(
            nn.Conv2d(channels, 1, kernel_size=3, padding=1) for channels in feature_info.channels
        )
        self.fuse = nn.Conv2d(len(feature_info.channels), 1, kernel_size=1)

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Side logits for every feature, and their fusion."""
        side_logits = tuple(side(feature) for side, feature in zip(self.sides, features, strict=True))
        fused = self.fuse(torch.cat([resize(logits, size) for logits in side_logits], dim=1))
        return Prediction(fused, side_logits, features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The fused map alone."""
        return self(features, size).logits
