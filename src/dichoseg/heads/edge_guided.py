"""Heads of EGNet, in which an edge feature guides every scale."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from ..blocks import resize, spatial_size
from ..checking import whole
from ..contracts import FeatureInfo, Features, Heads, Logits, Prediction


class EdgeGuidedHeads(Heads):
    """Heads for edge, salient and guided maps; the final logits come from the fused guided features.

    Source: the one-to-one guidance module of EGNet (arXiv:1908.08297): each salient feature is enlarged to the edge
    feature's size, added to it, and passed through three convolutions; the sum of the results gives the final logits.

    `logits` is the fused map. `side_logits` are the maps of the guided features, finest first, then those of the
    salient features, coarsest first. `edge_logits` is a single edge map. All are at the image's size, and all
    resizing is bilinear with aligned corners, as published.

    Args:
        feature_info: Channels and strides of the edge feature, then of the salient ones, finest first, as in
            `EdgeGuidedDecoder`.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        count = whole("number of features", len(feature_info.channels), least=2)
        width, *salient = feature_info.channels
        self.edge_score = conv(width, 1, 3)
        self.scores = nn.ModuleList(conv(channels, 1, 3) for channels in salient)
        self.narrow = nn.ModuleList(pointwise(channels, width) for channels in salient)
        self.guided = nn.ModuleList(three_convs(width, kernel_size(index, count)) for index in range(1, count))
        self.guided_scores = nn.ModuleList(conv(width, 1, 3) for _ in salient)
        self.fuse = nn.Sequential(conv(width, width, 5), nn.ReLU(inplace=True), conv(width, 1, 3))

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return all maps."""
        guided = [self._guide(features, index) for index in range(len(self.guided))]
        maps = [score(feature) for score, feature in zip(self.guided_scores, guided, strict=True)]
        salient = [score(feature) for score, feature in zip(self.scores, features[1:], strict=True)]
        side_logits = tuple(resize(logits, size, align_corners=True) for logits in (*maps, *reversed(salient)))
        edge_logits = (resize(self.edge_score(features[0]), size, align_corners=True),)
        return Prediction(self._fuse(reduce(torch.add, guided), size), side_logits, edge_logits, features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return the fused map only."""
        total = self._guide(features, 0)
        for index in range(1, len(self.guided)):  # one at a time: these are the largest tensors of the network
            total = total + self._guide(features, index)
        return self._fuse(total, size)

    def _guide(self, features: Features, index: int) -> Tensor:
        edge, salient = features[0], features[index + 1]
        enlarged = resize(self.narrow[index](salient), spatial_size(edge), align_corners=True)
        return self.guided[index](enlarged + edge)

    def _fuse(self, total: Tensor, size: tuple[int, int]) -> Logits:
        return resize(self.fuse(total), size, align_corners=True)


def kernel_size(index: int, count: int) -> int:
    """Return 3 for the edge feature and the finest salient one, 7 for the coarsest, 5 for those between."""
    if index < 2:
        return 3
    return 7 if index == count - 1 else 5


def conv(in_channels: int, out_channels: int, kernel_size: int, *, bias: bool = True) -> nn.Conv2d:
    """Make a convolution that keeps the size, initialized as in EGNet for maps, as in He et al. for features."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
    if out_channels == 1:
        nn.init.normal_(layer.weight, std=0.01)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def pointwise(in_channels: int, out_channels: int) -> nn.Sequential:
    """Make a 1x1 convolution without bias, followed by a ReLU."""
    return nn.Sequential(conv(in_channels, out_channels, 1, bias=False), nn.ReLU(inplace=True))


def three_convs(channels: int, kernel_size: int) -> nn.Sequential:
    """Make three convolutions of one width, each with a ReLU."""
    return nn.Sequential(
        *(layer for _ in range(3) for layer in (conv(channels, channels, kernel_size), nn.ReLU(inplace=True)))
    )
