"""Model composed of an encoder, a decoder and heads."""

from __future__ import annotations

from ..blocks import spatial_size
from ..contracts import Decoder, Encoder, Features, Heads, Image, Logits, Model, Prediction
from ..heads.side import SideHeads
from ..preprocessing import Preprocessing


class Segmenter(Model):
    """Model composed of an encoder, a decoder and heads.

    `Segmenter(encoder, DeconvDecoder(encoder.feature_info))`

    Args:
        encoder: Any encoder.
        decoder: Decoder built for `encoder.feature_info`; None passes the encoder's features to the heads.
        heads: Heads built for `decoder.feature_info`. Default: the decoder's `default_heads`, else `SideHeads`.
        preprocessing: Preprocessing of the input. Default: the encoder's.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder | None,
        heads: Heads | None = None,
        *,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        super().__init__()
        self.feature_info = (decoder or encoder).feature_info
        if heads is None:
            # of the class, since an instance would bind a function
            make_heads = getattr(type(decoder), "default_heads", None) or SideHeads
            heads = make_heads(self.feature_info)
        self.encoder = encoder
        self.decoder = decoder
        self.heads = heads
        self.preprocessing = preprocessing or encoder.preprocessing

    def forward(self, image: Image) -> Prediction:
        """Return the `Prediction` for a normalized image (B, C, H, W), with logits (B, 1, H, W)."""
        prediction: Prediction = self.heads(self.features(image), spatial_size(image))
        return prediction

    def logits(self, image: Image) -> Logits:
        """Return the final logits (B, 1, H, W), without the side heads."""
        return self.heads.logits(self.features(image), spatial_size(image))

    def features(self, image: Image) -> Features:
        """Return the features that the heads take, without running the heads."""
        features: Features = self.encoder(image)
        if self.decoder is not None:
            features = self.decoder(features)
        return features
