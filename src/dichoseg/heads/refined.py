"""Heads behind a decoder of their own."""

from __future__ import annotations

from ..contracts import Decoder, Features, Heads, Logits, Prediction


class RefinedHeads(Heads):
    """Heads behind a decoder of their own; the prediction keeps the features from before it.

    So intermediate supervision sees the raw features, and the logits come from the refined ones.

    Args:
        refine: Decoder that the features pass on their way to the heads.
        heads: Heads built for `refine.feature_info`.
    """

    def __init__(self, refine: Decoder, heads: Heads) -> None:
        super().__init__()
        self.refine = refine
        self.heads = heads

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """The heads' prediction on refined features, with the raw ones in it."""
        prediction: Prediction = self.heads(self.refine(features), size)
        return prediction._replace(features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The heads' answer on refined features."""
        return self.heads.logits(self.refine(features), size)
