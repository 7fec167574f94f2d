"""The encoder of U²-Net and IS-Net: stages of residual U-blocks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..blocks import ConvNormAct, rsu_stage
from ..contracts import Encoder, FeatureInfo, Features, Image


class RSUEncoder(Encoder):
    """Stages of residual U-blocks with max pooling between them, for any image size.

    The defaults are IS-Net's (arXiv:2203.03041); U²-Net's encoder (arXiv:2005.09007) is
    `strides=(1, 2, 4, 8, 16, 32)`.

    Args:
        in_channels: Channels of the image; 1 for a mask.
        channels: Output channels of each stage, finest first.
        mid_channels: Channels inside each stage's U.
        strides: Image side over feature side of each stage. The first is the stem's; stages with equal strides have
            no pooling between them.
        stem_channels: Channels of the strided convolution before the first stage, which is left out if the first
            stride is 1.
        stem_norm: Whether batch norm and ReLU follow the stem, as in IS-Net's GT encoder. IS-Net's own stem has
            neither.
    """

    def __init__(
        self,
        in_channels: int = 3,
        *,
        channels: Sequence[int] = (64, 128, 256, 512, 512, 512),
        mid_channels: Sequence[int] = (32, 32, 64, 128, 256, 256),
        strides: Sequence[int] = (2, 4, 8, 16, 32, 64),
        stem_channels: int = 64,
        stem_norm: bool = False,
    ) -> None:
        super().__init__()
        self.feature_info = FeatureInfo(channels, strides)
        if len(mid_channels) != len(channels):
            raise ValueError(f"mid_channels needs one value per stage; got {tuple(mid_channels)} for {tuple(channels)}")
        self.stem: nn.Module = nn.Identity()
        stem_stride = strides[0]
        if stem_stride > 1:
            kernel = 2 * stem_stride - 1
            self.stem = (
                ConvNormAct(in_channels, stem_channels, kernel_size=kernel, stride=stem_stride)
                if stem_norm
                else nn.Conv2d(in_channels, stem_channels, kernel, stride=stem_stride, padding=stem_stride - 1)
            )
        inputs = [stem_channels if stem_stride > 1 else in_channels, *channels[:-1]]
        self.stages = nn.ModuleList(
            rsu_stage(before, mid, after, index=index)
            for index, (before, mid, after) in enumerate(zip(inputs, mid_channels, channels, strict=True))
        )
        ratios = [coarse // fine for fine, coarse in zip(strides, strides[1:], strict=False)]
        self.pools = nn.ModuleList(
            [nn.Identity(), *(nn.MaxPool2d(ratio, stride=ratio, ceil_mode=True) for ratio in ratios)]
        )

    def forward(self, image: Image) -> Features:
        """(B, in_channels, H, W) -> one feature per stage, each side rounded up."""
        feature = self.stem(image)
        features = []
        for pool, stage in zip(self.pools, self.stages, strict=True):
            feature = stage(pool(feature))
            features.append(feature)
        return tuple(features)
