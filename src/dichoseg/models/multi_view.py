"""Model that sees an image as four close-ups and a distant view."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import resize, spatial_size
from ..checking import whole
from ..contracts import Encoder, FeatureInfo, Features, Image, Logits, Model, Prediction
from ..multi_view import ViewLocalization, ViewRefinement, merge, quadrants
from ..preprocessing import Preprocessing


class _Decoded(NamedTuple):
    views: list[Tensor]
    """Decoded features of each level, finest first, (5, B, C, h, w)."""
    distant: Tensor
    """Coarsest feature of the distant view before the exchange."""
    gates: list[Tensor]
    """Gates of each level but the coarsest, finest first."""


class MultiViewSegmenter(Model):
    """Model that encodes the four quadrants of an image and the image at half its size, and fuses their features.

    At the coarsest level the views exchange features (`ViewLocalization`). At the other levels the distant view guides
    the close-ups (`ViewRefinement`). An image is padded at the right and the bottom to a multiple of 4 times the
    encoder's coarsest stride, with zeros, and all results are cropped.

    The side logits are those of the close-ups, put together, finest first. Further outputs, for `MultiViewSupervision`:
    `extras["distant_logits"]`, finest first, and `extras["gates"]`, in [0, 1].

    Source: MVANet (arXiv:2404.07445), as in its code. Differs: any batch size and any image size.

    Args:
        encoder: Any encoder.
        width: Channels of everything after the encoder, a multiple of 4.
        preprocessing: Preprocessing of the input. Default: the encoder's.
    """

    def __init__(self, encoder: Encoder, *, width: int = 128, preprocessing: Preprocessing | None = None) -> None:
        super().__init__()
        if whole("width", width, least=4) % 4:
            raise ValueError(f"width must be a multiple of 4; got {width}")
        channels, strides = encoder.feature_info
        self.encoder = encoder
        self.preprocessing = preprocessing or encoder.preprocessing
        self.feature_info = FeatureInfo([width] * len(channels), strides)
        self.multiple = 4 * strides[-1]
        self.inputs = nn.ModuleList(_block(count, width, nn.PReLU()) for count in channels)
        self.localization = ViewLocalization(width)
        self.refinements = nn.ModuleList(ViewRefinement(width) for _ in channels[:-1])
        self.joins = nn.ModuleList(_block(width, width, nn.PReLU()) for _ in channels[:-1])
        self.sides = nn.ModuleList(_map_head(width) for _ in channels)
        self.deep = nn.Sequential(
            *_block(width, 3 * width, nn.PReLU()),
            *_block(3 * width, 3 * width, nn.PReLU()),
            nn.Conv2d(3 * width, width, kernel_size=3, padding=1),
        )
        self.shallow = nn.Conv2d(self.preprocessing.channels, width, kernel_size=3, padding=1)
        self.enlargements = nn.ModuleList(_block(width, width, nn.GELU()) for _ in range(2))
        self.final = _map_head(width)

    def forward(self, image: Image) -> Prediction:
        """Return the `Prediction` for a normalized image (B, C, H, W), with logits (B, 1, H, W)."""
        padded = self._padded(image)
        decoded = self._decode(padded)
        distant = [*(views[4] for views in decoded.views[:-1]), decoded.distant]
        sides = [  # before the close-ups are put together: a convolution sees none of its neighbors
            merge(side(views[:4].flatten(0, 1)).unflatten(0, (4, -1)))
            for side, views in zip(self.sides, decoded.views, strict=True)
        ]
        distant_logits = [side(feature) for side, feature in zip(self.sides, distant, strict=True)]
        crop = _Crop(spatial_size(image), spatial_size(padded))
        return Prediction(
            crop(self._final(padded, decoded)),
            crop.all(sides),
            features=crop.all([_merged(views) for views in decoded.views]),
            extras={"distant_logits": crop.all(distant_logits), "gates": crop.all(decoded.gates)},
        )

    def logits(self, image: Image) -> Logits:
        """Return the final logits (B, 1, H, W), without the other outputs."""
        padded = self._padded(image)
        return _Crop(spatial_size(image), spatial_size(padded))(self._final(padded, self._decode(padded)))

    def features(self, image: Image) -> Features:
        """Return the decoded features of the close-ups, put together."""
        padded = self._padded(image)
        crop = _Crop(spatial_size(image), spatial_size(padded))
        return crop.all([_merged(views) for views in self._decode(padded).views])

    def _padded(self, image: Image) -> Image:
        height, width = spatial_size(image)
        return F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))

    def _decode(self, image: Image) -> _Decoded:
        height, width = spatial_size(image)
        distant = resize(image, (height // 2, width // 2))
        views = torch.cat([quadrants(image), distant[None]])  # (5, B, C, H / 2, W / 2)
        features = [
            layer(feature) for layer, feature in zip(self.inputs, self.encoder(views.flatten(0, 1)), strict=True)
        ]
        current = features[-1].unflatten(0, views.shape[:2])
        before = current[4]
        current = self.localization(current)
        decoded, gates = [current], []
        for index in reversed(range(len(features) - 1)):
            finer = features[index]
            current = finer + resize(current.flatten(0, 1), spatial_size(finer))
            current, gate = self.refinements[index](current.unflatten(0, views.shape[:2]))
            current = self.joins[index](current.flatten(0, 1)).unflatten(0, views.shape[:2])
            decoded.append(current)
            gates.append(gate)
        return _Decoded(decoded[::-1], before, gates[::-1])

    def _final(self, image: Image, decoded: _Decoded) -> Logits:
        """Return the final logits of a padded image."""
        finest = decoded.views[0]
        merged = _merged(finest)
        current = self.deep(merged + resize(finest[4], spatial_size(merged)))
        shallow = self.shallow(image)
        height, width = spatial_size(image)
        for layer, size in zip(self.enlargements, ((height // 2, width // 2), (height, width)), strict=True):
            current = current + resize(shallow, spatial_size(current))
            current = layer(F.interpolate(current, size))
        logits: Logits = self.final(current)
        return logits


class _Crop:
    """Removal of what padding has added to maps of any size."""

    def __init__(self, size: tuple[int, int], padded: tuple[int, int]) -> None:
        self.size, self.padded = size, padded

    def __call__(self, maps: Tensor) -> Tensor:
        height, width = (
            -(-own * side // padded)
            for own, side, padded in zip(spatial_size(maps), self.size, self.padded, strict=True)
        )
        return maps[..., :height, :width]

    def all(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        return tuple(self(each) for each in maps)


def _merged(views: Tensor) -> Tensor:
    return merge(views[:4])


def _block(in_channels: int, out_channels: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1), nn.BatchNorm2d(out_channels), activation
    )


def _map_head(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, 1, kernel_size=3, padding=1)
