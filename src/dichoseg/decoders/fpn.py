"""Feature pyramid: the lightest decoder for the features of a large backbone."""

from __future__ import annotations

from torch import nn

from ..blocks import ConvNormAct, resize, spatial_size
from ..contracts import Decoder, FeatureInfo, Features


class FPNDecoder(Decoder):
    """Feature pyramid: features projected to one width, summed from coarsest to finest, and convolved.

    A 1x1 convolution projects each feature; the sum of the coarser ones is resized to the feature's own size and
    added; a 3x3 convolution with batch norm and ReLU turns each sum into an output feature. The running sum stays
    linear. The decoder is cheap compared with a large backbone, and accepts any number of features at any strides.

    Source: feature pyramid networks (arXiv:1612.03144), section 3. Differs in three ways: the 3x3 convolutions are
    not linear, because only a single convolution follows them, with which a linear one would collapse (in the paper,
    layers of a detector follow); resizing is bilinear, not nearest; and the width is 128 (256 in the paper).

    Args:
        feature_info: Channels and strides of the encoder's features.
        channels: Channels of every output feature. Three quarters of the decoder's work is at the finest feature, and
            the work grows with the square of the channels.
    """

    def __init__(self, feature_info: FeatureInfo, *, channels: int = 128) -> None:
        super().__init__()
        self.feature_info = FeatureInfo([channels for _ in feature_info.channels], feature_info.strides)
        self.lateral = nn.ModuleList(nn.Conv2d(before, channels, kernel_size=1) for before in feature_info.channels)
        self.smooth = nn.ModuleList(ConvNormAct(channels, channels) for _ in feature_info.channels)

    def forward(self, features: Features) -> Features:
        """The encoder's features -> one output feature each, at the same sizes."""
        finer = list(zip(self.lateral, self.smooth, features, strict=True))
        lateral, smooth, coarsest = finer.pop()
        total = lateral(coarsest)
        decoded = [smooth(total)]
        for lateral, smooth, skip in reversed(finer):
            total = lateral(skip) + resize(total, spatial_size(skip))
            decoded.append(smooth(total))
        return tuple(reversed(decoded))
