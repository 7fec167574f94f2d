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

    The second term after the plain cross-entropy, so that foreground and background part cleanly. Each image is
    averaged over its own band, then the batch is averaged; an image without an edge counts 0.

    After EGNet (arXiv:1908.08297). Differs: the target is the mask itself, and the band is found from it.

    Args:
        width: Side of the square window whose dilation minus erosion is the band, in pixels of the mask: 3 takes
            in the pixel on either side of the border. Odd, at least 3.

    Raises:
        ValueError: An even width, or one below 3.
    """

    second_term: ClassVar[bool] = True
    """It needs a loss beside it that supervises the whole mask. The command line adds one, and applies this one to
    the answer alone: coarse side outputs cannot resolve a band of a few pixels."""

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

    The literal reading of "edged GT", for `edge_logits` and for comparison. On a model's main output, beside a
    cross-entropy with the filled mask, it pulls the inside of the object (mask 1, edge 0) towards the probability
    1 / (1 + w), w being its weight; `EdgeBCELoss` does not.

    Args:
        width: Side of the square window whose dilation minus erosion is the edge map, in pixels of the mask.
            Odd, at least 3.

    Raises:
        ValueError: An even width, or one below 3.
    """

    second_term: ClassVar[bool] = True
    """As of `EdgeBCELoss`."""

    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        self.width = whole("width", width, least=3, odd=True)

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            return F.binary_cross_entropy_with_logits(logits, edge_band(mask, self.width))


class BalancedBCELoss(nn.Module):
    """Binary cross-entropy in which the few edge pixels weigh as much as the many others.

    A pixel of target 1 weighs N0 / (N0 + N1) and one of target 0 `negative_weight` * N1 / (N0 + N1), where N0 and
    N1 count such pixels. Anything between 0 and 1 weighs nothing, so a target that has only one of the two, or
    neither, gives 0.

    Source: EGNet (arXiv:1908.08297), whose published code sums. Unlike the other losses it counts over the whole
    batch, as published, so the same images in other batches give another value.

    Args:
        negative_weight: Factor on the pixels of target 0.
        reduction: `"mean"` divides by the number of all pixels, `"sum"` is as published.

    Raises:
        ValueError: A reduction that is neither, or a weight that is negative or not finite.
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
