"""Res2Net with dilations in its last two stages."""

from __future__ import annotations

import torch.nn.functional as F

from ..contracts import Encoder, FeatureInfo, Features, Image
from .timm_backbone import TimmEncoder

DILATIONS = {"layer3": (2,) * 6, "layer4": (4, 8, 16)}


class Res2NetEncoder(Encoder):
    """timm's Res2Net-50 with five features, of which the first two have stride 4, and dilated last stages.

    Source: Res2Net v1b (arXiv:1904.01169), as InSPyReNet's code applies it: dilation 2 in the third stage, 4, 8 and 16
    in the blocks of the fourth, at unchanged strides; the first feature is the stem's after pooling.

    Args:
        pretrained: Whether to start from ImageNet weights, which timm downloads.
    """

    def __init__(self, *, pretrained: bool = False) -> None:
        super().__init__()
        inner = TimmEncoder("res2net50d", pretrained=pretrained)
        self.backbone, self.preprocessing = inner.backbone, inner.preprocessing
        channels, strides = inner.feature_info
        self.feature_info = FeatureInfo(channels, (4, *strides[1:]))
        for stage, dilations in DILATIONS.items():
            for block, dilation in zip(self.backbone.get_submodule(stage), dilations, strict=True):
                for conv in block.convs:
                    conv.dilation = conv.padding = (dilation, dilation)

    def forward(self, image: Image) -> Features:
        """(B, 3, H, W) -> five features, each side rounded up."""
        stem, *features = self.backbone(image)
        return (F.max_pool2d(stem, kernel_size=3, stride=2, padding=1), *features)
