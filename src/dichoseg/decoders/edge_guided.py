"""EGNet: a top-down path with an edge branch, and heads in which the edge guides every scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..blocks import resize, spatial_size
from ..contracts import Decoder, FeatureInfo, Features, Heads, Logits, Prediction


class EdgeGuidedHeads(Heads):
    """Edge, salient and guided maps; the guided features fused are the answer.

    Source: the one-to-one guidance module of EGNet (arXiv:1908.08297): each salient feature, enlarged to the edge
    feature and added to it, passes three convolutions, and the sum of what comes out gives the answer.

    `logits` is the fused map. `side_logits` are the maps of the guided features, finest first, then those of the
    salient features, coarsest first; `edge_logits` is the one edge map. All are at the image's size, and all
    resizing is bilinear with aligned corners, as published.

    Args:
        feature_info: The edge feature, then the salient ones, finest first: `EdgeGuidedDecoder`'s.

    Raises:
        ValueError: Fewer than two features.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        count = len(feature_info.channels)
        if count < 2:
            raise ValueError(f"EdgeGuidedHeads needs two features or more; got channels {feature_info.channels}")
        width, *salient = feature_info.channels
        self.edge_score = _conv(width, 1, 3)
        self.scores = nn.ModuleList(_conv(channels, 1, 3) for channels in salient)
        self.narrow = nn.ModuleList(_pointwise(channels, width) for channels in salient)
        self.guided = nn.ModuleList(_three_convs(width, _kernel_size(index, count)) for index in range(1, count))
        self.guided_scores = nn.ModuleList(_conv(width, 1, 3) for _ in salient)
        self.fuse = nn.Sequential(_conv(width, width, 5), nn.ReLU(inplace=True), _conv(width, 1, 3))

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Every map."""
        guided = [self._guide(features, index) for index in range(len(self.guided))]
        maps = [score(feature) for score, feature in zip(self.guided_scores, guided, strict=True)]
        salient = [score(feature) for score, feature in zip(self.scores, features[1:], strict=True)]
        side_logits = tuple(resize(logits, size, align_corners=True) for logits in (*maps, *reversed(salient)))
        edge_logits = (resize(self.edge_score(features[0]), size, align_corners=True),)
        return Prediction(self._fuse(reduce(torch.add, guided), size), side_logits, edge_logits, features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The fused map alone."""
        total = self._guide(features, 0)
        for index in range(1, len(self.guided)):  # one at a time: they are the largest tensors of the network
            total = total + self._guide(features, index)
        return self._fuse(total, size)

    def _guide(self, features: Features, index: int) -> Tensor:
        edge, salient = features[0], features[index + 1]
        enlarged = resize(self.narrow[index](salient), spatial_size(edge), align_corners=True)
        return self.guided[index](enlarged + edge)

    def _fuse(self, total: Tensor, size: tuple[int, int]) -> Logits:
        return resize(self.fuse(total), size, align_corners=True)


class EdgeGuidedDecoder(Decoder):
    """Salient features from the coarsest up, and an edge feature from the finest one and the coarsest result.

    The features come out as (edge, salient 1, salient 2, ...), each at its skip's size: the result of feature 0
    is the edge feature, which takes its location from the coarsest salient one. Everything is sums and
    convolutions with ReLU, three per feature with kernels 3, 3, 5, ..., 5, 7; there is no batch norm. Resizing is
    bilinear with aligned corners.

    Source: EGNet (arXiv:1908.08297), its extraction of salient object and of non-local salient edge features;
    exactly the published network on the published backbones. Differs in how it starts: weights keep the signal's
    size (He et al., arXiv:1502.01852) and the last layer of each head is normal with deviation 0.01, both with
    bias 0. The published 0.01 for all assumes the published backbones, and lets the signal vanish in narrow
    decoders.

    Args:
        feature_info: The encoder's features; at least two.
        channels: Width of each feature after projection. Default: 128, 256, then 512, as published; narrower
            ones make a much smaller network.
        project: Whether 1x1 convolutions bring the features to these widths, as EGNet does for its ResNet; its
            VGG has them already. Without, the widths are the encoder's own.

    Raises:
        ValueError: Fewer than two features, a number of widths that differs from theirs, or widths without
            projection.
    """

    default_heads: ClassVar[Callable[[FeatureInfo], Heads] | None] = EdgeGuidedHeads

    def __init__(
        self, feature_info: FeatureInfo, *, channels: Sequence[int] | None = None, project: bool = True
    ) -> None:
        super().__init__()
        count = len(feature_info.channels)
        if count < 2:
            raise ValueError(f"EdgeGuidedDecoder needs two features or more; got channels {feature_info.channels}")
        if channels is None:
            channels = [min(128 * 2**index, 512) for index in range(count)] if project else feature_info.channels
        elif not project:
            raise ValueError(f"channels needs project=True; got channels {tuple(channels)} without it")
        if len(channels) != count:
            raise ValueError(f"{count} features need {count} channels; got {tuple(channels)}")
        self.feature_info = FeatureInfo(channels, feature_info.strides)
        self.project = nn.ModuleList(
            _pointwise(before, after) if project else nn.Identity()
            for before, after in zip(feature_info.channels, channels, strict=True)
        )
        self.up = nn.ModuleList(_three_convs(width, _kernel_size(index, count)) for index, width in enumerate(channels))
        self.narrow = nn.ModuleList(
            _pointwise(below, width) if below != width else nn.Identity()
            for width, below in zip(channels[1:], channels[2:], strict=False)
        )
        self.location = _pointwise(channels[-1], channels[0])

    def forward(self, features: Features) -> Features:
        """The encoder's features -> (edge, salient 1, salient 2, ...)."""
        edge, *skips = (project(feature) for project, feature in zip(self.project, features, strict=True))
        salient = [self.up[-1](skips[-1])]
        for up, narrow, skip in zip(self.up[-2:0:-1], reversed(self.narrow), skips[-2::-1], strict=True):
            salient.append(up(skip + resize(narrow(salient[-1]), spatial_size(skip), align_corners=True)))
        prior = resize(self.location(salient[0]), spatial_size(edge), align_corners=True)
        return (self.up[0](edge + prior), *reversed(salient))


def _kernel_size(index: int, count: int) -> int:
    """3 for the edge feature and the finest salient one, 7 for the coarsest, 5 between."""
    if index < 2:
        return 3
    return 7 if index == count - 1 else 5


def _conv(in_channels: int, out_channels: int, kernel_size: int, *, bias: bool = True) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
    if out_channels == 1:
        nn.init.normal_(conv.weight, std=0.01)
    else:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _pointwise(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(_conv(in_channels, out_channels, 1, bias=False), nn.ReLU(inplace=True))


def _three_convs(channels: int, kernel_size: int) -> nn.Sequential:
    return nn.Sequential(
        *(layer for _ in range(3) for layer in (_conv(channels, channels, kernel_size), nn.ReLU(inplace=True)))
    )
