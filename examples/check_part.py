"""Check a decoder of your own against the contract, and read the errors."""

# --8<-- [start:check]
import torch
from torch import nn

from dichoseg.blocks import resize, spatial_size
from dichoseg.contracts import Decoder, FeatureInfo, Features
from dichoseg.testing import ConformanceError, check_decoder


class MyDecoder(Decoder):
    """Decoder that doubles the coarsest feature repeatedly and adds each finer one."""

    def __init__(self, feature_info: FeatureInfo) -> None:
        super().__init__()
        self.feature_info = FeatureInfo([8], feature_info.strides[:1])
        layers = [nn.Conv2d(channels, 8, 1) for channels in feature_info.channels]
        self.layers = nn.ModuleList(layers)

    def forward(self, features: Features) -> Features:
        """Return one feature, at the finest stride."""
        skips = [layer(x) for layer, x in zip(self.layers, features, strict=True)]
        joined = skips[-1]
        for skip in skips[-2::-1]:
            joined = self.enlarge(joined, skip) + skip
        return (joined,)

    def enlarge(self, feature: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Double the size, which fails if the backbone has rounded a size."""
        return nn.functional.interpolate(feature, scale_factor=2)


try:
    check_decoder(MyDecoder)
except ConformanceError as error:
    print(error)
# --8<-- [end:check]


# --8<-- [start:fixed]
class Fixed(MyDecoder):
    """Decoder that works at any size and with any strides."""

    def enlarge(self, feature: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Resize to the skip's own size."""
        return resize(feature, spatial_size(skip))


check_decoder(Fixed)
# --8<-- [end:fixed]
