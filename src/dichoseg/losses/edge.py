"""Losses on the border between foreground and background."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import edge_band, full_precision
from ..contracts import Logits, Mask


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
        self.width = _checked_width(width)

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
    """It needs a loss beside it that supervises the whole mask. The command line adds one, and applies this one to
    the answer alone: coarse side outputs cannot resolve a band of a few pixels."""

    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        self.width = _checked_width(width)

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            return F.binary_cross_entropy_with_logits(logits, edge_band(mask, self.width))


def _checked_width(width: int) -> int:
    if width < 3 or width % 2 == 0:
        raise ValueError(f"width must be an odd number of pixels, 3 or more; got {width}")
    return width
