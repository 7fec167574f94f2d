"""Loss on the structural similarity of small windows, computed by Kornia."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import full_precision
from ..checking import choice
from ..contracts import Logits, Mask

Padding: TypeAlias = Literal["replicate", "zeros"]
_WINDOW = 11  # pixels, for a Gaussian of sigma 1.5: Wang et al. (2004), section III-C


class SSIMLoss(nn.Module):
    """One minus the structural similarity of probability and mask, averaged over all pixels.

    Compares means, variances and covariance in a Gaussian window of 11 pixels around each pixel. A border therefore
    counts in all windows that contain it, and the background is pulled to exactly 0. It hardly penalizes large areas
    that are wrong as a whole, so use it as a third term, with a cross-entropy and an IoU loss. The value is between 0
    and 2. An empty or a full mask gives 0 for a prediction that equals it, and 1 - 1e-4 / 1.0001 for its opposite.

    Source: Wang et al. (IEEE TIP 2004), as a loss in BASNet (CVPR 2019), section 3.4, with their window and
    constants 0.01² and 0.03². Differs: by default the image is padded with its border pixels, where BASNet's code pads
    zeros, so images may be smaller than the window and the frame does not count as a border. The value is twice that
    of `kornia.losses.ssim_loss`, without its epsilon.

    Args:
        padding: Values around the image: `"replicate"` repeats its border pixels, `"zeros"` is as in BASNet's code.
    """

    def __init__(self, *, padding: Padding = "replicate") -> None:
        super().__init__()
        self.mode = "constant" if choice("padding", padding, get_args(Padding)) == "zeros" else "replicate"

    def forward(self, logits: Logits, mask: Mask) -> Tensor:
        """(B, 1, H, W) logits and mask -> scalar."""
        from kornia.metrics import ssim

        with full_precision(logits, mask) as (logits, mask):
            probability, mask = (F.pad(x, [_WINDOW // 2] * 4, mode=self.mode) for x in (logits.sigmoid(), mask))
            return 1 - ssim(probability, mask, _WINDOW, eps=0.0, padding="valid").mean()
