"""Losses on regions: the overlap of prediction and mask in each image."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import full_precision, window_mean
from ..checking import choice, number, whole
from ..contracts import Logits, Mask

Reduction: TypeAlias = Literal["mean", "sum"]
WindowPadding: TypeAlias = Literal["none", "zeros"]


class IoULoss(nn.Module):
    """One minus the soft intersection over union of each image, averaged over the batch.

    With p the sigmoid of the logits and m the mask, the loss is 1 - (sum(pm) + 1) / (sum(p + m - pm) + 1). Small and
    large objects have the same weight, but the gradient vanishes if prediction and mask hardly overlap, so combine it
    with a cross-entropy. An empty mask gives 1 - 1 / (sum(p) + 1), so 0 for an empty prediction; a full mask of N
    pixels gives 1 - (sum(p) + 1) / (N + 1). If the mask has gray pixels, the product stays below the union, and the
    smallest loss is above 0.

    Source: BASNet (CVPR 2019), section 3.4. Differs: the added 1 (one pixel), which defines the loss for an empty
    mask.

    Args:
        smoothing: Number added to both sums, in pixels. With 0, as published, an empty mask gives 1 and no gradient.
        reduction: `"mean"` or `"sum"` of the images of a batch.
    """

    def __init__(self, *, smoothing: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.smoothing = number("smoothing", smoothing)
        self.reduction = choice("reduction", reduction, get_args(Reduction))

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            probability = _probability(logits, mask)
            both = probability * mask
            losses = 1 - _ratio(both, probability + mask - both, smoothing=self.smoothing)  # (B,)
            return losses.sum() if self.reduction == "sum" else losses.mean()


class DiceLoss(nn.Module):
    """One minus the soft Dice coefficient of each image, averaged over the batch.

    With p the sigmoid of the logits and m the mask, the loss is 1 - (2 sum(pm) + 1) / (sum(p²) + sum(m²) + 1). As in
    `IoULoss`, objects of all sizes have the same weight, and it is best combined with a cross-entropy. It penalizes a
    wrong pixel a little less, and gray pixels of a mask have their optimum at p = m. An empty mask gives
    1 - 1 / (sum(p²) + 1), so 0 for an empty prediction; a full mask of N pixels gives
    1 - (2 sum(p) + 1) / (sum(p²) + N + 1).

    Source: V-Net (arXiv:1606.04797), section 3. Differs: the added 1 (one pixel), which defines the loss for an empty
    mask.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            probability = _probability(logits, mask)
            return (1 - _ratio(2 * probability * mask, probability.square() + mask.square())).mean()


class StructureLoss(nn.Module):
    """Cross-entropy plus IoU loss, both with larger weights at borders and on thin parts.

    The weight of a pixel is 1 + `border_weight` * |mean of the mask in the window around it - mask|: 1 far from any
    border, and largest on structures much thinner than the window. With these weights w, the loss of an image is
    sum(w bce) / sum(w) + 1 - (sum(w pm) + 1) / (sum(w (p + m - pm)) + 1), averaged over the batch.

    An empty or a full mask has no border: all weights are 1, and the value is that of `BCELoss` plus `IoULoss`.

    Source: F3Net (arXiv:1911.11445), the pixel position aware loss. Differs from the paper: the cross-entropy is
    divided by sum(w), not by sum(w - 1), which is 0 without a border; and 1 (one pixel) is added, as in its code.
    Differs from the code, which averages the cross-entropy before weighting it (`reduce='none'` gives a mean in
    PyTorch), which makes it the plain cross-entropy, and whose windows count pixels outside of the image as
    background; here, as in the paper's formula, windows end at the image's border by default.

    Args:
        width: Side of the window, in pixels of the mask. Odd, at least 3. The default was published for images of
            352 pixels.
        border_weight: Strength of the weighting, gamma in the paper.
        padding: `"none"` ends windows at the image's border; with `"zeros"`, pixels outside of the image count as
            background, as in the code of MVANet (arXiv:2404.07445).
    """

    def __init__(self, *, width: int = 31, border_weight: float = 5.0, padding: WindowPadding = "none") -> None:
        super().__init__()
        self.width = whole("width", width, least=3, odd=True)
        self.border_weight = number("border_weight", border_weight)
        self.padding = choice("padding", padding, get_args(WindowPadding))

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            weight = 1 + self.border_weight * (self._mean(mask) - mask).abs()
            errors = F.binary_cross_entropy_with_logits(logits, mask, reduction="none") * weight
            cross_entropy = _sum(errors) / _sum(weight)  # (B,)
            probability = logits.sigmoid()
            both = probability * mask
            overlap = _ratio(weight * both, weight * (probability + mask - both))  # (B,)
            return (cross_entropy + 1 - overlap).mean()

    def _mean(self, mask: Mask) -> Mask:
        if self.padding == "zeros":
            return F.avg_pool2d(mask, self.width, stride=1, padding=self.width // 2)
        return window_mean(mask, self.width, self.width)


def _probability(logits: Logits, mask: Mask) -> Tensor:
    if logits.shape != mask.shape:  # the product would broadcast a (B, H, W) mask over all pairs of images
        raise ValueError(f"logits and mask must have the same shape; got {tuple(logits.shape)} and {tuple(mask.shape)}")
    return logits.sigmoid()


def _sum(values: Tensor) -> Tensor:
    return values.flatten(1).sum(dim=1)  # (B,)


def _ratio(numerator: Tensor, denominator: Tensor, *, smoothing: float = 1.0) -> Tensor:
    tiny = torch.finfo(denominator.dtype).tiny  # without smoothing, both may be 0
    return (_sum(numerator) + smoothing) / (_sum(denominator) + smoothing).clamp(min=tiny)  # (B,)
