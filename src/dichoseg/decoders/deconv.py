"""Decoders that enlarge coarse features to the second one's size by transposed convolutions."""

from __future__ import annotations

import torch
from torch import nn

from ..blocks import ConvNormAct, resize, spatial_size
from ..checking import whole
from ..contracts import Decoder, FeatureInfo, Features
from .rsu import RSUDecoder


class DeconvEnlarger(Decoder):
    """Decoder that enlarges features 2, 3, ... to feature 1's size and concatenates each with feature 1.

    A ratio of 2^n uses n transposed convolutions (kernel 2, stride 2) with nothing between them, a ratio of 1 uses a
    1x1 convolution. The result is resized to feature 1's own size (sizes that are not multiples round differently),
    concatenated with it and passed through two 3x3 convolutions with batch norm and ReLU.

    Source: the "DECONV_TO_D2" tuning of IS-Net. Differs in that resize: the published code fails at sizes that are
    not multiples of 64. At multiples of 64 the function is the same.

    With nothing between them, the steps form one linear map, equivalent to a single transposed convolution of kernel
    and stride 2^n. `nonlinear` adds batch norm and ReLU after each; the tuning does not have this option.

    Args:
        feature_info: Channels and strides of the input features; features 0 and 1 pass unchanged.
        channels: Channels of the enlarged features.
        nonlinear: Whether batch norm and ReLU follow each step, including the 1x1 convolution of a ratio of 1. The
            weights of one setting do not fit the other.
    """

    def __init__(self, feature_info: FeatureInfo, *, channels: int = 64, nonlinear: bool = False) -> None:
        super().__init__()
        whole("number of features", len(feature_info.channels), least=2)
        target = feature_info.strides[1]
        ratios = [stride // target for stride in feature_info.strides[2:]]
        if any(ratio & (ratio - 1) for ratio in ratios):
            raise ValueError(
                "DeconvEnlarger doubles sizes, so strides must be powers of two times the second one; "
                f"got {feature_info.strides}"
            )
        coarse = feature_info.channels[2:]
        kept = feature_info.channels[:2]
        self.feature_info = FeatureInfo(
            (*kept, *(channels for _ in coarse)), (*feature_info.strides[:2], *(target for _ in coarse))
        )
        self.enlarge = nn.ModuleList(
            _enlargement(before, channels, ratio, nonlinear=nonlinear)
            for before, ratio in zip(coarse, ratios, strict=True)
        )
        self.join = nn.ModuleList(
            nn.Sequential(ConvNormAct(channels + kept[1], channels), ConvNormAct(channels, channels)) for _ in coarse
        )

    def forward(self, features: Features) -> Features:
        """(f0, f1, f2, ...) -> (f0, f1, f2 at f1's size, ...)."""
        skip = features[1]
        enlarged = []
        for enlarge, join, feature in zip(self.enlarge, self.join, features[2:], strict=True):
            grown = resize(enlarge(feature), spatial_size(skip))
            enlarged.append(join(torch.cat([grown, skip], dim=1)))
        return (*features[:2], *enlarged)


class DeconvDecoder(Decoder):
    """Top-down decoder whose coarse features are enlarged by transposed convolutions.

    The heads and intermediate supervision receive the enlarged features, so fine detail survives into the side
    outputs. In the published network, `create_model("isnet_deconv")`, only the heads receive them.

    Args:
        feature_info: Channels and strides of the encoder's features.
        channels: Channels of the enlarged features.
        nonlinear: Whether batch norm and ReLU follow each step of the enlargement; the tuning has neither.
        decoder: Top-down decoder before the enlargement. Default: `RSUDecoder(feature_info)`.
    """

    def __init__(
        self,
        feature_info: FeatureInfo,
        *,
        channels: int = 64,
        nonlinear: bool = False,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__()
        self.decoder = RSUDecoder(feature_info) if decoder is None else decoder
        self.enlarger = DeconvEnlarger(self.decoder.feature_info, channels=channels, nonlinear=nonlinear)
        self.feature_info = self.enlarger.feature_info

    def forward(self, features: Features) -> Features:
        """The encoder's features -> decoded features, the third and later ones at the second one's size."""
        enlarged: Features = self.enlarger(self.decoder(features))
        return enlarged


def _enlargement(in_channels: int, out_channels: int, ratio: int, *, nonlinear: bool) -> nn.Module:
    if ratio == 1:
        pointwise = ConvNormAct if nonlinear else nn.Conv2d
        return pointwise(in_channels, out_channels, kernel_size=1)
    layers: list[nn.Module] = []
    for step in range(ratio.bit_length() - 1):
        before = out_channels if step else in_channels
        layers.append(nn.ConvTranspose2d(before, out_channels, kernel_size=2, stride=2))
        if nonlinear:
            layers += [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
