"""Heads that rebuild logits from a Laplacian pyramid."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ..blocks import resize
from ..contracts import FeatureInfo, Features, Heads, Logits, Prediction
from ..pyramid import expand, reconstruct


class PyramidHeads(Heads):
    """Heads whose maps are a Laplacian pyramid: each adds the detail that the expanded coarser logits lack.

    A feature of one channel is a map already, as in the features of `PyramidDecoder`; others pass a 3x3 convolution.
    No gradient passes from map to map. The logits of each level are returned as side logits, the details, finest first,
    as `extras["details"]`.

    Source: InSPyReNet (arXiv:2209.09475), as in its code. Differs: the finest logits are resized to the image's size.

    Args:
        feature_info: Channels and strides of the input features; each stride is a power of 2 times the one before.
    """

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        channels, strides = feature_info
        ratios = [coarse // fine for fine, coarse in zip(strides, strides[1:], strict=False)]
        if any(ratio & (ratio - 1) for ratio in ratios):
            raise ValueError(f"a pyramid needs strides that are powers of 2 apart; got {strides}")
        self.halvings = [ratio.bit_length() - 1 for ratio in ratios]
        self.maps = nn.ModuleList(
            nn.Identity() if count == 1 else nn.Conv2d(count, 1, kernel_size=3, padding=1) for count in channels
        )

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return the finest logits, and those of all other levels as side logits."""
        *details, logits = (layer(feature) for layer, feature in zip(self.maps, features, strict=True))
        levels: list[Tensor] = [logits]
        for detail, halvings in zip(reversed(details), reversed(self.halvings), strict=True):
            coarser = levels[-1].detach()
            for _ in range(halvings - 1):
                coarser = expand(coarser)
            levels.append(reconstruct(coarser, detail) if halvings else coarser + detail)
        finest, *others = reversed(levels)
        extras = {"details": tuple(details)}
        return Prediction(resize(finest, size), tuple(others), features=features, extras=extras)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return the finest logits."""
        return cast(Logits, self(features, size).logits)
