"""Losses on the border between foreground and background."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import full_precision
from ..checking import choice, number, whole
from ..contracts import Logits, Mask
from ..masks import edge_band


class EdgeBCELoss(nn.Module):
    """Binary cross-entropy against the mask, averaged over the band around its edge.

    A second term next to the plain cross-entropy, for a cleaner separation of foreground and background. Each image
    is averaged over its own band, then the batch is averaged; an image without an edge counts as 0.

    Source: EGNet (arXiv:1908.08297). Differs: the target is the mask itself, and the band is computed from it.

    Args:
        width: Side of the square window whose dilation minus erosion is the band, in pixels of the mask: 3 covers
            one pixel on either side of the border. Odd, at least 3.
    """

    second_term: ClassVar[bool] = True
    """True if the loss must be combined with one that supervises the whole mask, which the command line adds. It is
    applied to the final logits only: coarse side outputs cannot resolve a band of a few pixels."""

    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        self.width = whole("width", width, least=3, odd=True)

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            band = edge_band(mask, self.width)
            errors = F.binary_cross_entropy_with_logits(logits, mask, reduction="none") * band
            per_image = errors.flatten(1).sum(dim=1) / band.flatten(1).sum(dim=1).clamp(min=1)  # (B,)
            return per_image.mean()


class EdgeMapBCELoss(nn.Module):
    """Binary cross-entropy against the edge map of the mask, averaged over all pixels.

    The literal reading of "edged GT", for `edge_logits` and for comparison. Applied to the final logits with weight w,
    next to a cross-entropy with the filled mask, it pulls the inside of the object (mask 1, edge 0) toward the
    probability 1 / (1 + w); `EdgeBCELoss` does not.

    Args:
        width: Side of the square window whose dilation minus erosion is the edge map, in pixels of the mask.
            Odd, at least 3.
    """

    second_term: ClassVar[bool] = True
    """Same as in `EdgeBCELoss`."""

    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        self.width = whole("width", width, least=3, odd=True)

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            return F.binary_cross_entropy_with_logits(logits, edge_band(mask, self.width))


class BalancedBCELoss(nn.Module):
    """Class-balanced binary cross-entropy, in which the few edge pixels weigh as much as the many others.

    A pixel of target 1 has the weight N0 / (N0 + N1), a pixel of target 0 has `negative_weight` * N1 / (N0 + N1),
    where N0 and N1 are the numbers of such pixels. Pixels between 0 and 1 have weight 0, so a target without zeros or
    without ones gives 0.

    Source: EGNet (arXiv:1908.08297), whose published code sums. Unlike the other losses, it counts pixels over the
    whole batch, as published, so the value for an image depends on the rest of the batch.

    Args:
        negative_weight: Factor on the pixels of target 0.
        reduction: `"mean"` divides by the number of all pixels, `"sum"` is as published.
    """

    def __init__(self, *, negative_weight: float = 1.1, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__()
        self.negative_weight = number("negative_weight", negative_weight)
        self.reduction = choice("reduction", reduction, ("mean", "sum"))

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and target -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            positive, negative = (mask == 1).to(mask.dtype), (mask == 0).to(mask.dtype)
            positives, negatives = positive.sum(), negative.sum()
            weight = (negatives * positive + self.negative_weight * positives * negative) / (
                positives + negatives
            ).clamp(min=1)
            return F.binary_cross_entropy_with_logits(logits, mask, weight, reduction=self.reduction)
