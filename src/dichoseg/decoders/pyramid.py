"""The decoder of InSPyReNet, which predicts a Laplacian pyramid of the mask."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..attention import AxialAttention, AxialContext, ConvNorm, ObjectContext
from ..blocks import resize, spatial_size
from ..checking import whole
from ..contracts import Decoder, FeatureInfo, Features
from ..heads.pyramid import PyramidHeads
from ..preprocessing import height_and_width
from ..pyramid import reconstruct


class PyramidDecoder(Decoder):
    """Decoder whose features are a Laplacian pyramid of the logits, one channel each, down to stride 1.

    The three coarsest features, joined at the size of the finest of them, give the coarsest map. Each stage doubles the
    size: it attends to the object that the maps so far show (`ObjectContext`), and gives the Laplacian map that the
    expanded coarser map lacks. A stage takes one more of the finer features, coarsest first, unless that is finer than
    the stage. No gradient passes from map to map.

    Source: InSPyReNet (arXiv:2209.09475), as in its code, whose values it has if the image's sides are multiples of the
    coarsest map's stride (8 there).

    Args:
        feature_info: Channels and strides of the encoder's features. The finest of the three coarsest needs a power of
            2 as its stride.
        width: Channels inside the decoder.
        base_size: Size of the images that it is trained on, (height, width), an int for a square. Trained weights fit
            only this size; the images themselves may have another.
    """

    default_heads: ClassVar[type[PyramidHeads]] = PyramidHeads

    def __init__(
        self, feature_info: FeatureInfo, *, width: int = 64, base_size: int | tuple[int, int] = (384, 384)
    ) -> None:
        super().__init__()
        whole("width", width, least=1)
        base = height_and_width(base_size)
        channels, strides = feature_info
        self.skip_strides = strides
        self.finer = max(len(channels) - 3, 0)
        coarsest = strides[self.finer]
        if coarsest & (coarsest - 1) or min(base) < coarsest:
            raise ValueError(
                f"a pyramid needs a stride that is a power of 2, and a base_size of at least that; got {coarsest} "
                f"(of strides {strides}) and {base}"
            )
        self.strides = [2**level for level in reversed(range(coarsest.bit_length() - 1))]  # of the stages
        self.skips: list[int | None] = []  # of each stage
        left = self.finer
        for stride in self.strides:
            takes_one = left > 0 and strides[left - 1] >= stride
            left -= takes_one
            self.skips.append(left if takes_one else None)
        used = {*self.skips, *range(self.finer, len(channels))} - {None}
        self.contexts = nn.ModuleDict(
            {str(index): AxialContext(channels[index], width) for index in range(len(channels)) if index in used}
        )
        joined = (len(channels) - self.finer) * width
        self.entry = nn.Sequential(ConvNorm(joined, width), AxialAttention(width))
        self.entry.extend(ConvNorm(width, width) for _ in range(3))
        self.coarsest = nn.Conv2d(width, 1, kernel_size=3, padding=1, bias=False)
        self.stages = nn.ModuleList(
            ObjectContext(
                width if skip is None else 2 * width,
                width,
                size=(base[0] // stride, base[1] // stride),
                detail=index > 0,
            )
            for index, (stride, skip) in enumerate(zip(self.strides, self.skips, strict=True))
        )
        self.feature_info = FeatureInfo([1] * (len(self.strides) + 1), [*reversed(self.strides), coarsest])

    def forward(self, features: Features) -> Features:
        """Return Laplacian maps, finest first, then the coarsest map of logits."""
        size = spatial_size(features[self.finer])
        deep = [self.contexts[str(index)](features[index]) for index in reversed(range(self.finer, len(features)))]
        current = self.entry(torch.cat([resize(feature, size, align_corners=True) for feature in deep], dim=1))
        logits: Tensor = self.coarsest(current)
        maps: list[Tensor] = [logits]
        logits, detail = logits.detach(), None
        for stage, skip, stride in zip(self.stages, self.skips, self.strides, strict=True):
            current = self._enlarged(current, features, skip, stride)
            current, laplacian = stage(current, logits, detail)
            maps.append(laplacian)
            detail = laplacian.detach()
            logits = reconstruct(logits, detail)
        return tuple(reversed(maps))

    def _enlarged(self, current: Tensor, features: Features, skip: int | None, stride: int) -> Tensor:
        """Return the features at the size of the next stage, behind those of its skip."""
        height, width = spatial_size(current)
        if skip is None:
            return resize(current, (2 * height, 2 * width))
        own = self.contexts[str(skip)](features[skip])
        size = spatial_size(own) if self.skip_strides[skip] == stride else (2 * height, 2 * width)
        return torch.cat([resize(own, size), resize(current, size)], dim=1)
