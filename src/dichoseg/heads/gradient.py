"""Heads of BiRefNet, which also predict gradients of the image inside the object."""

from __future__ import annotations

from torch import nn

from ..blocks import resize
from ..contracts import FeatureInfo, Features, Heads, Logits, Prediction


class GradientHeads(Heads):
    """One 1x1 convolution per feature: the first gives the final logits, the others side logits and gradients in turn.

    `extras["gradient_logits"]` are the logits of the gradients, finest first; `GradientSupervision` trains them.

    Source: BiRefNet (arXiv:2401.03407), as in its code: resizing is bilinear with aligned corners.

    Args:
        feature_info: Channels and strides of the input features: the finest, then pairs of a feature and its gradient
            feature, as `BilateralReferenceDecoder` returns them.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        final, *others = feature_info.channels
        self.final = nn.Conv2d(final, 1, kernel_size=1)
        self.sides = nn.ModuleList(nn.Conv2d(channels, 1, kernel_size=1) for channels in others[::2])
        self.gradients = nn.ModuleList(nn.Conv2d(channels, 1, kernel_size=1) for channels in others[1::2])

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return all maps; side logits and gradients have the sizes of their features."""
        sides = tuple(side(feature) for side, feature in zip(self.sides, features[1::2], strict=True))
        gradients = tuple(layer(feature) for layer, feature in zip(self.gradients, features[2::2], strict=True))
        extras = {"gradient_logits": gradients}
        return Prediction(self.logits(features, size), sides, features=features, extras=extras)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return the final map only."""
        return resize(self.final(features[0]), size, align_corners=True)
