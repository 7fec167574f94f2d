"""Objective that uses the image."""

import torch
import torch.nn.functional as F

from dichoseg.blocks import full_precision, resize, spatial_size
from dichoseg.contracts import Objective, Prediction, Target


class ContrastSupervision(Objective):
    """Binary cross-entropy of the final logits, weighted by the image's edges.

    The weight is 1 in flat regions and up to `1 + strength` at edges. Term: `contrast`.

    Args:
        strength: Additional weight of the strongest edge of each image.
    """

    def __init__(self, *, strength: float = 4.0) -> None:
        super().__init__()
        self.strength = strength

    def terms(self, prediction: Prediction, target: Target) -> dict[str, torch.Tensor]:
        """Return the only term."""
        if target.image is None:
            raise ValueError("ContrastSupervision needs Target(image=...)")
        mask = target.unweighted_mask(self)
        with full_precision(prediction.logits, mask, target.image) as (
            logits,
            mask,
            image,
        ):
            gray = F.pad(
                image.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate"
            )
            across = (gray[..., 1:-1, 2:] - gray[..., 1:-1, :-2]).abs()
            down = (gray[..., 2:, 1:-1] - gray[..., :-2, 1:-1]).abs()
            edges = across + down  # (B, 1, H, W)
            edges = edges / edges.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
            logits = resize(logits, spatial_size(mask))
            errors = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
            weighted = (1 + self.strength * edges) * errors
            return {"contrast": weighted.flatten(1).mean(dim=1).mean()}
