"""Check a part of your own against the contract, and read what is wrong with it."""

# --8<-- [start:check]
import torch
from torch import nn

from dichoseg.blocks import resize, spatial_size
from dichoseg.contracts import Decoder, FeatureInfo, Features
from dichoseg.testing import ConformanceError, check_decoder


class MyDecoder(Decoder):
    """Doubles the coarsest feature again and again, and joins each on the way."""

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.feature_info = FeatureInfo([8], feature_info.strides[:1])
        layers = [nn.Conv2d(channels, 8, 1) for channels in feature_info.channels]
        self.layers = nn.ModuleList(layers)

    def forward(self, features: Features) -> Features:
        """The encoder's features -> one."""
        skips = [layer(x) for layer, x in zip(self.layers, features, strict=True)]
        joined = skips[-1]
        for skip in skips[-2::-1]:
            joined = self.enlarge(joined, skip) + skip
        return (joined,)

    def enlarge(self, feature: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """The way that fails wherever a backbone has rounded."""
        return nn.functional.interpolate(feature, scale_factor=2)


try:
    check_decoder(MyDecoder)
except ConformanceError as error:
    print(error)
# --8<-- [end:check]


# --8<-- [start:mended]
class Mended(MyDecoder):
    """The same, at any size and for any strides."""

    def enlarge(self, feature: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """To the skip's own size."""
        return resize(feature, spatial_size(skip))


check_decoder(Mended)
# --8<-- [end:mended]
