"""Losses on regions: each image's overlap of prediction and mask, as one number."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import full_precision
from ..checking import number, whole
from ..contracts import Logits, Mask


class IoULoss(nn.Module):
    """One minus the soft intersection over union of each image, averaged over the batch.

    With p the sigmoid of the logits and m the mask, 1 - (sum(pm) + 1) / (sum(p + m - pm) + 1). It weighs an object
    of few pixels like one of many, but its gradient vanishes where prediction and mask hardly overlap: best beside
    a cross-entropy. An empty mask gives 1 - 1 / (sum(p) + 1), so 0 for an empty prediction, and a full mask of N
    pixels 1 - (sum(p) + 1) / (N + 1). Where the mask is grey, the product never quite reaches the union, and the
    smallest loss is above 0.

    Source: BASNet (CVPR 2019), section 3.4. Differs: the 1, of one pixel, which defines the empty mask.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            probability = _probability(logits, mask)
            both = probability * mask
            return (1 - _ratio(both, probability + mask - both)).mean()


class DiceLoss(nn.Module):
    """One minus the soft Dice coefficient of each image, averaged over the batch.

    With p the sigmoid of the logits and m the mask, 1 - (2 sum(pm) + 1) / (sum(p²) + sum(m²) + 1). Like `IoULoss`
    it weighs objects alike whatever their size and is best beside a cross-entropy; it forgives a wrong pixel a
    little more, and grey pixels of a mask have their optimum at p = m. An empty mask gives 1 - 1 / (sum(p²) + 1),
    so 0 for an empty prediction, and a full mask of N pixels 1 - (2 sum(p) + 1) / (sum(p²) + N + 1).

    Source: V-Net (arXiv:1606.04797), section 3. Differs: the 1, of one pixel, which defines the empty mask.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            probability = _probability(logits, mask)
            return (1 - _ratio(2 * probability * mask, probability.square() + mask.square())).mean()


class StructureLoss(nn.Module):
    """Cross-entropy plus IoU loss, both weighted towards borders and thin parts.

    A pixel weighs 1 + `border_weight` * |mean of the mask in the window around it - mask|: 1 far from any border,
    and most on structures much thinner than the window. With these weights w, the sum of two terms, each of one
    image and then averaged over the batch: sum(w bce) / sum(w), and 1 - (sum(w pm) + 1) / (sum(w (p + m - pm)) + 1).

    An empty or a full mask has no border: all weights are 1, the value that of `BCELoss` plus `IoULoss`.

    Source: F3Net (arXiv:1911.11445), the pixel position aware loss. Differs from the paper: the cross-entropy is
    divided by sum(w), not by sum(w - 1), which is 0 without a border; and the 1, of one pixel, as in its code.
    Differs from the code: its cross-entropy has been averaged before it is weighted (`reduce='none'` asks PyTorch
    for a mean) and so is the plain one, and its windows count what lies outside of the image as background, where
    here, as in the paper's formula, they end at the image.

    Args:
        width: Side of the window, in pixels of the mask. Odd, at least 3. Published for images of 352 pixels.
        border_weight: The paper's gamma.

    Raises:
        ValueError: An even width or one below 3, or a weight that is negative or not finite.
    """

    def __init__(self, *, width: int = 31, border_weight: float = 5.0) -> None:
        super().__init__()
        self.width = whole("width", width, least=3, odd=True)
        self.border_weight = number("border_weight", border_weight)

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            weight = 1 + self.border_weight * (_window_mean(mask, self.width) - mask).abs()
            errors = F.binary_cross_entropy_with_logits(logits, mask, reduction="none") * weight
            cross_entropy = _sum(errors) / _sum(weight)  # (B,)
            probability = logits.sigmoid()
            both = probability * mask
            overlap = _ratio(weight * both, weight * (probability + mask - both))  # (B,)
            return (cross_entropy + 1 - overlap).mean()


def _probability(logits: Logits, mask: Mask) -> Tensor:
    if logits.shape != mask.shape:  # products would be broadcast: a (B, H, W) mask over every pair of images
        raise ValueError(f"logits and mask must have one shape; got {tuple(logits.shape)} and {tuple(mask.shape)}")
    return logits.sigmoid()


def _sum(values: Tensor) -> Tensor:
    return values.flatten(1).sum(dim=1)  # (B,)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return (_sum(numerator) + 1) / (_sum(denominator) + 1)  # (B,)


def _window_mean(mask: Mask, width: int) -> Mask:
    # Rows, then columns: 2 * width additions per pixel instead of width²; a window cut by the image stays a rectangle.
    rows = F.avg_pool2d(mask, (1, width), stride=1, padding=(0, width // 2), count_include_pad=False)
    return F.avg_pool2d(rows, (width, 1), stride=1, padding=(width // 2, 0), count_include_pad=False)
