"""Encoder that also sees the image at half its size."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..blocks import resize, spatial_size
from ..checking import choice
from ..contracts import Encoder, FeatureInfo, Features, Image
from ..registry import make_component

Joining: TypeAlias = Literal["cat", "add"]


class MultiScaleInput(Encoder):
    """Features of another encoder for the image and for the image at half its size, joined.

    The encoder runs twice, with the same weights. The features of the smaller image are enlarged to the others' sizes.

    Source: BiRefNet (arXiv:2401.03407), as in its code: bilinear with aligned corners, the smaller image's channels
    last.

    Args:
        encoder: Any encoder, with its preprocessing.
        joining: `"cat"` doubles the channels, `"add"` keeps them.
    """

    def __init__(self, encoder: Encoder, *, joining: Joining = "cat") -> None:
        super().__init__()
        self.joining = choice("joining", joining, get_args(Joining))
        self.encoder = encoder
        self.preprocessing = encoder.preprocessing
        channels, strides = encoder.feature_info
        factor = 2 if joining == "cat" else 1
        self.feature_info = FeatureInfo([factor * count for count in channels], strides)

    def forward(self, image: Image) -> Features:
        """(B, C, H, W), normalized, at least 2 by 2 pixels -> the encoder's features, of two scales."""
        height, width = spatial_size(image)
        half = resize(image, (height // 2, width // 2), align_corners=True)
        pairs = zip(self.encoder(image), self.encoder(half), strict=True)
        return tuple(self._join(full, resize(small, spatial_size(full), align_corners=True)) for full, small in pairs)

    def _join(self, full: Tensor, small: Tensor) -> Tensor:
        return full + small if self.joining == "add" else torch.cat([full, small], dim=1)


def multi_scale(*, encoder: str = "swin", joining: Joining = "cat") -> MultiScaleInput:
    """Build `MultiScaleInput` on an encoder of that name, such as `"timm:convnext_tiny"`."""
    return MultiScaleInput(make_component("encoders", encoder), joining=joining)
