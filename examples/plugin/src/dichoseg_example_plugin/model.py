"""Model that `create_model` finds by name."""

from dichoseg import Preprocessing, Segmenter
from dichoseg.encoders import RSUEncoder

from .decoder import LightDecoder


def pocket(*, channels: int = 16) -> Segmenter:
    """Create a small network for quick experiments, at 512 pixels.

    It has four stages of residual U-blocks and the light decoder.

    Args:
        channels: Channels of the finest feature; the others have 2, 4 and 4 times that.
    """
    encoder = RSUEncoder(
        channels=[channels, 2 * channels, 4 * channels, 4 * channels],
        mid_channels=[channels // 2, channels, 2 * channels, 2 * channels],
        strides=(2, 4, 8, 16),
        stem_channels=channels,
    )
    decoder = LightDecoder(encoder.feature_info, channels=4 * channels)
    return Segmenter(encoder, decoder, preprocessing=Preprocessing(size=512))
