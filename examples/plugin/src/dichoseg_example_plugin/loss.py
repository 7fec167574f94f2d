"""Focal loss."""

import torch
import torch.nn.functional as F
from torch import nn

from dichoseg.blocks import full_precision
from dichoseg.contracts import Logits, Mask


class FocalLoss(nn.Module):
    """Binary cross-entropy that gives well-classified pixels less weight.

    Averaged over each image, then over the batch.

    Source: Lin et al. (arXiv:1708.02002), without the class weight alpha. Soft masks
    are weighted by their distance from the probability.

    Args:
        gamma: Exponent of the weight; 0 gives plain cross-entropy.
    """

    def __init__(self, *, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Logits, mask: Mask) -> torch.Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            errors = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
            # the slope of doubt**gamma at 0 is infinite for a gamma below 1
            doubt = (logits.sigmoid() - mask).abs().clamp(min=1e-6)
            return (doubt**self.gamma * errors).flatten(1).mean(dim=1).mean()
