"""The decoder of U²-Net and IS-Net: residual U-blocks from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..blocks import resize, rsu_stage, spatial_size
from ..checking import whole
from ..contracts import Decoder, FeatureInfo, Features


class RSUDecoder(Decoder):
    """Decoder with one residual U-block per stage, applied to the enlarged deeper feature and the encoder's skip.

    With the default widths it is exactly the decoder of IS-Net (arXiv:2203.03041) and U²-Net (arXiv:2005.09007).
    The coarsest feature passes unchanged.

    Args:
        feature_info: Channels and strides of the encoder's features; at least two.
        channels: Output channels of each stage except the coarsest, finest first. Default: the encoder's channels
            shifted by one stage, the first repeated: (c0, c0, c1, c2, ...).
        mid_channels: Channels inside each of these stages. Default: half of `channels`, a quarter in the first.
    """

    def __init__(
        self,
        feature_info: FeatureInfo,
        *,
        channels: Sequence[int] | None = None,
        mid_channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        skips, strides = feature_info
        count = len(skips) - 1
        whole("number of features", len(skips), least=2)
        if channels is None:
            channels = [skips[max(index - 1, 0)] for index in range(count)]
        if mid_channels is None:
            mid_channels = [max(out // (2 if index else 4), 1) for index, out in enumerate(channels)]
        if len(channels) != count or len(mid_channels) != count:
            raise ValueError(
                f"{len(skips)} features need {count} channels and mid_channels, none for the coarsest; "
                f"got {tuple(channels)} and {tuple(mid_channels)}"
            )
        self.feature_info = FeatureInfo((*channels, skips[-1]), strides)
        deeper = self.feature_info.channels[1:]
        self.stages = nn.ModuleList(
            rsu_stage(below + skip, mid, out, index=index)
            for index, (below, skip, mid, out) in enumerate(
                zip(deeper, skips[:-1], mid_channels, channels, strict=True)
            )
        )

    def forward(self, features: Features) -> Features:
        """The encoder's features -> one feature per stage, each at its skip's size."""
        decoded = [features[-1]]
        for stage, skip in zip(reversed(self.stages), reversed(features[:-1]), strict=True):
            enlarged = resize(decoded[-1], spatial_size(skip))
            decoded.append(stage(torch.cat([enlarged, skip], dim=1)))
        return tuple(reversed(decoded))
