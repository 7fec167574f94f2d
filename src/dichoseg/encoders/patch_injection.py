"""Encoder that concatenates the image's own pixels to its features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks import ConvNormAct, patch_stack, resize, spatial_size
from ..checking import whole
from ..contracts import Encoder, FeatureInfo, Features, Image


class PatchInjectionEncoder(Encoder):
    """Features of another encoder, each concatenated with the image's pixels at full resolution.

    For a feature of stride s, the image is cut into s by s patches of the feature's size, which are stacked as
    channels and passed through two 3x3 convolutions. Any decoder accepts the result. A decoder that concatenates its
    skips, such as `RSUDecoder`, sees feature and patches at each stage.

    Source: the inward reference of BiRefNet (arXiv:2401.03407). Differs: the patches are joined to the encoder's
    features, not inside the decoder, and only at the encoder's strides; batch norm and ReLU follow each convolution;
    an image whose sides are not multiples of the stride is resized to the feature's size times the stride.

    As published, patch (i, j) is the image's part in row i and column j of that grid, so one position of the stack
    holds pixels from all over the image.

    Args:
        encoder: Any encoder, with its preprocessing.
        channels: Number of channels added to each feature. The first convolution has 27 s² weights for each of them:
            at stride 64, with 16 channels, 1.8 million.
    """

    def __init__(self, encoder: Encoder, *, channels: int = 16) -> None:
        super().__init__()
        whole("channels", channels, least=1)
        info = encoder.feature_info
        self.encoder = encoder
        self.preprocessing = encoder.preprocessing
        self.feature_info = FeatureInfo([before + channels for before in info.channels], info.strides)
        image_channels = encoder.preprocessing.channels
        self.embed = nn.ModuleList(
            nn.Sequential(ConvNormAct(image_channels * stride**2, channels), ConvNormAct(channels, channels))
            for stride in info.strides
        )

    def forward(self, image: Image) -> Features:
        """(B, C, H, W), normalized -> the encoder's features with `channels` more channels each."""
        features = self.encoder(image)
        return tuple(
            torch.cat([feature, embed(_patches(image, spatial_size(feature), stride))], dim=1)
            for embed, feature, stride in zip(self.embed, features, self.encoder.feature_info.strides, strict=True)
        )


def _patches(image: Image, size: tuple[int, int], stride: int) -> Tensor:
    height, width = size
    return patch_stack(resize(image, (height * stride, width * stride)), (stride, stride))  # (B, C*s*s, H/s, W/s)
