"""Losses that look at each pixel by itself."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import full_precision
from ..contracts import Logits, Mask


class BCELoss(nn.Module):
    """Binary cross-entropy between logits and mask, averaged over all pixels.

    The value of `nn.BCEWithLogitsLoss`, which serves as well. IS-Net and U²-Net as published take probabilities
    instead: the same value until a float32 sigmoid saturates (logits beyond 17), where theirs gives 100 and no
    gradient.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            return F.binary_cross_entropy_with_logits(logits, mask)
