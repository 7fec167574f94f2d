"""The decoder of EGNet: a top-down path with an edge branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import nn

from ..blocks import resize, spatial_size
from ..checking import whole
from ..contracts import Decoder, FeatureInfo, Features, Heads
from ..heads.edge_guided import EdgeGuidedHeads, kernel_size, pointwise, three_convs


class EdgeGuidedDecoder(Decoder):
    """Decoder with a top-down path for salient features and a branch for an edge feature.

    Returns (edge, salient 1, salient 2, ...), each at its skip's size. The edge feature is computed from feature 0
    and the coarsest salient feature, which gives it the object's location. All layers are sums and convolutions with
    ReLU, three per feature with kernels 3, 3, 5, ..., 5, 7, without batch norm. Resizing is bilinear with aligned
    corners.

    Source: EGNet (arXiv:1908.08297), its extraction of salient object and of non-local salient edge features;
    exactly the published network on the published backbones. Differs in initialization: weights preserve the scale
    of the signal (He et al., arXiv:1502.01852) and the last layer of each head is normal with std 0.01, both with
    bias 0. The published 0.01 everywhere assumes the published backbones; in narrow decoders, the signal vanishes.

    Args:
        feature_info: Channels and strides of the encoder's features; at least two.
        channels: Width of each feature after projection. Default: 128, 256, then 512, as published; smaller widths
            make a much smaller network.
        project: Whether 1x1 convolutions bring the features to these widths, as in EGNet on ResNet. EGNet on VGG
            needs no projection. If False, the widths are the encoder's own.
    """

    default_heads: ClassVar[Callable[[FeatureInfo], Heads] | None] = EdgeGuidedHeads

    def __init__(
        self, feature_info: FeatureInfo, *, channels: Sequence[int] | None = None, project: bool = True
    ) -> None:
        super().__init__()
        count = whole("number of features", len(feature_info.channels), least=2)
        if channels is None:
            channels = [min(128 * 2**index, 512) for index in range(count)] if project else feature_info.channels
        elif not project:
            raise ValueError(f"channels needs project=True; got channels {tuple(channels)} without it")
        if len(channels) != count:
            raise ValueError(f"{count} features need {count} channels; got {tuple(channels)}")
        self.feature_info = FeatureInfo(channels, feature_info.strides)
        self.project = nn.ModuleList(
            pointwise(before, after) if project else nn.Identity()
            for before, after in zip(feature_info.channels, channels, strict=True)
        )
        self.up = nn.ModuleList(three_convs(width, kernel_size(index, count)) for index, width in enumerate(channels))
        self.narrow = nn.ModuleList(
            pointwise(below, width) if below != width else nn.Identity()
            for width, below in zip(channels[1:], channels[2:], strict=False)
        )
        self.location = pointwise(channels[-1], channels[0])

    def forward(self, features: Features) -> Features:
        """The encoder's features -> (edge, salient 1, salient 2, ...)."""
        edge, *skips = (project(feature) for project, feature in zip(self.project, features, strict=True))
        salient = [self.up[-1](skips[-1])]
        for up, narrow, skip in zip(self.up[-2:0:-1], reversed(self.narrow), skips[-2::-1], strict=True):
            salient.append(up(skip + resize(narrow(salient[-1]), spatial_size(skip), align_corners=True)))
        prior = resize(self.location(salient[0]), spatial_size(edge), align_corners=True)
        return (self.up[0](edge + prior), *reversed(salient))
