"""Deep supervision: a loss on the final logits and on every side output."""

from __future__ import annotations

from torch import Tensor

from ..blocks import full_precision, resize, spatial_size
from ..checking import number
from ..contracts import Logits, Loss, Mask, Objective, Prediction, Target
from ..losses.pixel import BCELoss
from .eager_gradient import eager_gradient
from .ignored import without_ignored


class DeepSupervision(Objective):
    """A loss on the final logits and on every side output, resized to the mask's size.

    Terms: `main`, and `side_1`, `side_2`, ... in the order of `side_logits`.

    As in all objectives here, each term's gradient is computed together with the term, and only the gradient is kept
    for the backward pass. It cannot be differentiated again.

    Source: U²-Net (arXiv:2005.09007), section 3.3, where all weights are 1.

    Args:
        loss: Any `(logits, mask) -> scalar`, such as `nn.BCEWithLogitsLoss()`. Default: `BCELoss()`.
        side_weight: Weight of each side term; 0 supervises the final logits only. Default: 1, or 0 for a loss with
            `second_term = True`, such as `EdgeBCELoss`: coarse side outputs cannot resolve a band of a few pixels.
        align_corners: Whether logits are resized with aligned corners, as in BiRefNet.
    """

    def __init__(
        self, loss: Loss | None = None, *, side_weight: float | None = None, align_corners: bool = False
    ) -> None:
        super().__init__()
        self.loss: Loss = BCELoss() if loss is None else loss
        if side_weight is None:
            side_weight = 0.0 if getattr(self.loss, "second_term", False) else 1.0
        self.side_weight = number("side_weight", side_weight)
        self.align_corners = align_corners

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return one term per output."""

        def term(logits: Logits) -> Tensor:
            return resized_loss(self.loss, logits, target.mask, target.weight, align_corners=self.align_corners)

        terms = {"main": term(prediction.logits)}
        if self.side_weight:
            for index, logits in enumerate(prediction.side_logits, start=1):
                terms[f"side_{index}"] = self.side_weight * term(logits)
        return terms


def resized_loss(
    loss: Loss, logits: Logits, mask: Mask, weight: Tensor | None = None, *, align_corners: bool = False
) -> Tensor:
    """Compute a loss in float32 on logits resized to the mask's size, keeping only its gradient."""

    def at_mask_size(logits: Tensor, mask: Tensor) -> Tensor:
        resized = resize(logits, spatial_size(mask), align_corners=align_corners)
        return loss(*without_ignored(resized, mask, weight))

    with full_precision(logits, mask) as (logits, mask):
        return eager_gradient(at_mask_size, logits, mask)
