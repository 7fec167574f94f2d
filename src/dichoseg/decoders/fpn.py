"""A feature pyramid: the lightest way from a large backbone's features to a mask."""

from __future__ import annotations

from torch import nn

from ..blocks import ConvNormAct, resize, spatial_size
from ..contracts import Decoder, FeatureInfo, Features


class FPNDecoder(Decoder):
    """Project each feature to one width, add them up from the coarsest to the finest, and convolve each sum.

    A 1x1 convolution projects; the sum of what is coarser is resized to the next feature's own size and added; a 3x3
    convolution with batch norm and ReLU makes a feature of each sum. The sums on the way up stay linear. It is cheap
    beside a large backbone, and asks nothing of its features: any number, any strides.

    Source: feature pyramid networks (arXiv:1612.03144), section 3. Differs in three ways: the published 3x3
    convolution is linear, because layers of a detector follow it, and here a single convolution does, with which a
    linear one would collapse; resizing is bilinear rather than nearest; and the width is 128 (the paper's is 256).

    Args:
        feature_info: The encoder's features.
        channels: Channels of every feature that comes out. Three quarters of the decoder's work is at the finest one,
            and grows with the square of its channels.
    """

    def __init__(self, feature_info: FeatureInfo, *, channels: int = 128) -> None:
        super().__init__()
        self.feature_info = FeatureInfo([channels for _ in feature_info.channels], feature_info.strides)
        self.lateral = nn.ModuleList(nn.Conv2d(before, channels, kernel_size=1) for before in feature_info.channels)
        self.smooth = nn.ModuleList(ConvNormAct(channels, channels) for _ in feature_info.channels)

    def forward(self, features: Features) -> Features:
        """The encoder's features -> one feature each, at the same sizes."""
        finer = list(zip(self.lateral, self.smooth, features, strict=True))
        lateral, smooth, coarsest = finer.pop()
        total = lateral(coarsest)
        decoded = [smooth(total)]
        for lateral, smooth, skip in reversed(finer):
            total = lateral(skip) + resize(total, spatial_size(skip))
            decoded.append(smooth(total))
        return tuple(reversed(decoded))
