"""Losses on individual pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import full_precision
from ..contracts import Logits, Mask


class BCELoss(nn.Module):
    """Binary cross-entropy between logits and mask, averaged over all pixels.

    Same value as `nn.BCEWithLogitsLoss`, which can be used instead. The published code of IS-Net and U²-Net takes
    probabilities: the same value until a float32 sigmoid saturates (logits beyond 17); from there it gives 100 and no
    gradient.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            return F.binary_cross_entropy_with_logits(logits, mask)


class MAELoss(nn.Module):
    """Absolute difference of probability and mask, averaged over all pixels.

    Its gradient does not grow with the error, and vanishes where the probability is near 0 or 1, so combine it with a
    cross-entropy. An empty or a full mask gives 0 for a prediction that equals it, and 1 for its opposite.

    Source: used in BiRefNet (arXiv:2401.03407), as in its code, and in matting.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            return F.l1_loss(logits.sigmoid(), mask)
