"""A model composed of an encoder, a decoder and heads."""

from __future__ import annotations

from ..blocks import spatial_size
from ..contracts import Decoder, Encoder, Features, Heads, Image, Logits, Model, Prediction
from ..heads.side import SideHeads
from ..preprocessing import Preprocessing


class Segmenter(Model):
    """Encoder, decoder and heads in a row.

    `Segmenter(encoder, DeconvDecoder(encoder.feature_info))`

    Args:
        encoder: Image -> features.
        decoder: Built for `encoder.feature_info`.
        heads: Built for `decoder.feature_info`. Default: the decoder's own default, else `SideHeads`.
        preprocessing: What the input needs. Default: what the encoder was made for.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        heads: Heads | None = None,
        *,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        super().__init__()
        if heads is None:
            make_heads = type(decoder).default_heads or SideHeads
            heads = make_heads(decoder.feature_info)
        self.encoder = encoder
        self.decoder = decoder
        self.heads = heads
        self.feature_info = decoder.feature_info
        self.preprocessing = encoder.preprocessing if preprocessing is None else preprocessing

    def forward(self, image: Image) -> Prediction:
        """(B, 3, H, W), normalised -> `Prediction` with logits (B, 1, H, W)."""
        prediction: Prediction = self.heads(self.features(image), spatial_size(image))
        return prediction

    def logits(self, image: Image) -> Logits:
        """The answer alone (B, 1, H, W): no side heads."""
        return self.heads.logits(self.features(image), spatial_size(image))

    def features(self, image: Image) -> Features:
        """The decoder's features, without the heads."""
        features: Features = self.decoder(self.encoder(image))
        return features
