"""Encoder that passes the image on to the decoder."""

from __future__ import annotations

from ..contracts import Encoder, FeatureInfo, Features, Image
from ..registry import make_component


class ImageReference(Encoder):
    """Features of another encoder, with the image itself before them, as a feature of stride 1.

    For decoders that look at the image, such as `BilateralReferenceDecoder`; any other takes it as one more skip.

    Args:
        encoder: Any encoder, with its preprocessing.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.preprocessing = encoder.preprocessing
        channels, strides = encoder.feature_info
        self.feature_info = FeatureInfo((encoder.preprocessing.channels, *channels), (1, *strides))

    def forward(self, image: Image) -> Features:
        """(B, C, H, W), normalized -> the image, then the encoder's features."""
        return (image, *self.encoder(image))


def image_reference(*, encoder: str = "swin") -> ImageReference:
    """Build `ImageReference` on an encoder of that name, such as `"timm:convnext_tiny"`."""
    return ImageReference(make_component("encoders", encoder))
