"""A loss on the likeness of small windows, through Kornia."""

from __future__ import annotations

import torch.nn.functional as F
from kornia.metrics import ssim
from torch import Tensor, nn

from ..blocks import full_precision
from ..contracts import Logits, Mask

_WINDOW = 11  # pixels, a Gaussian of sigma 1.5: Wang et al. (2004), section III-C


class SSIMLoss(nn.Module):
    """One minus the structural similarity of probability and mask, averaged over all pixels.

    Compares means, variances and covariance in a Gaussian window of 11 pixels around each pixel, so that a border
    counts in all windows that see it, and the background goes to exactly 0. It says little about large areas that
    are wrong as a whole: a third term, beside a cross-entropy and an IoU loss. Between 0 and 2. An empty or a full
    mask gives 0 for a prediction that equals it, and 1 - 1e-4 / 1.0001 for the opposite one.

    Source: Wang et al. (IEEE TIP 2004), as a loss in BASNet (CVPR 2019), section 3.4, with their window and
    constants 0.01² and 0.03². Differs: the image is continued by its border pixels, where BASNet's code pads
    zeros, so that images smaller than the window are defined and the frame is no border; twice
    `kornia.losses.ssim_loss`, and without its epsilon.
    """

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        with full_precision(logits, mask) as (logits, mask):
            probability, mask = (F.pad(x, [_WINDOW // 2] * 4, mode="replicate") for x in (logits.sigmoid(), mask))
            return 1 - ssim(probability, mask, _WINDOW, eps=0.0, padding="valid").mean()
