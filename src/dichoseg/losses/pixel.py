"""Losses on individual pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import full_precision
from ..checking import number, whole
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

    Its gradient does not grow with the error, and vanishes for probabilities near 0 or 1, so combine it with a
    cross-entropy. An empty or a full mask gives 0 for a prediction that equals it, and 1 for its opposite.

    Source: used in BiRefNet (arXiv:2401.03407), as in its code, and in matting.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            return F.l1_loss(logits.sigmoid(), mask)


class BorderBCELoss(nn.Module):
    """Cross-entropy weighted up at borders and on thin parts, averaged over all pixels.

    The weight of a pixel is 1 + `border_weight` * |mean of the mask in the window around it - mask|. Unlike in
    `StructureLoss`, it is not divided by the sum of the weights, so a mask with more borders has a larger loss. Pixels
    outside of the image count as background.

    Source: InSPyReNet (arXiv:2209.09475), as in its code. Differs: computed from logits, so that a probability that
    float32 rounds to 0 or 1 keeps its gradient.

    Args:
        width: Side of the window, in pixels of the mask. Odd, at least 3.
        border_weight: Strength of the weighting.
    """

    def __init__(self, *, width: int = 31, border_weight: float = 5.0) -> None:
        super().__init__()
        self.width = whole("width", width, least=3, odd=True)
        self.border_weight = number("border_weight", border_weight)

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            mean = F.avg_pool2d(mask, self.width, stride=1, padding=self.width // 2)
            weight = 1 + self.border_weight * (mean - mask).abs()
            return F.binary_cross_entropy_with_logits(logits, mask, weight)


class PixelIoULoss(nn.Module):
    """One minus the soft intersection over union of each single pixel, averaged over all pixels.

    With p the sigmoid of the logits and m the mask, the loss of a pixel is 1 - (pm + 1) / (p + m - pm + 1): at most a
    half, for a hard mask, and 0 for a perfect one. Unlike in `IoULoss`, small objects have no larger weight. Gray
    pixels of a mask have no loss of 0.

    Source: InSPyReNet (arXiv:2209.09475), as in its code.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            probability = logits.sigmoid()
            both = probability * mask
            return (1 - (both + 1) / (probability + mask - both + 1)).mean()
