"""Heads that refine their features with a decoder first."""

from __future__ import annotations

from ..contracts import Decoder, Features, Heads, Logits, Prediction


class RefinedHeads(Heads):
    """Heads on features refined by a further decoder; the prediction keeps the raw features.

    The logits come from the refined features, intermediate supervision uses the raw ones.

    Args:
        refine: Decoder between the features and the heads.
        heads: Heads built for `refine.feature_info`.
    """

    def __init__(self, refine: Decoder, heads: Heads) -> None:
        super().__init__()
        self.refine = refine
        self.heads = heads

    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return the heads' prediction on refined features, with the raw features in it."""
        prediction: Prediction = self.heads(self.refine(features), size)
        return prediction._replace(features=features)

    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return the final logits from refined features."""
        return self.heads.logits(self.refine(features), size)
