"""Quick metrics for validation during training, batched, on the tensors' device."""

from __future__ import annotations

import torch

from ..contracts import Logits, Mask


class OnlineMetrics:
    """`quick_mae` and `quick_max_f` over the batches of a validation set, at the network's own size.

    For choosing between checkpoints; not comparable with papers, whose numbers are taken at the masks' native size
    (`dichoseg.evaluate`). The F-measure has b = 0.3 and 256 thresholds on the probability, without stretching; the
    curve is averaged over images before its maximum is taken. An image whose mask is empty has F = 0.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mae = 0.0
        self._curve = torch.zeros(256, dtype=torch.float64)

    @torch.no_grad()
    def update(self, logits: Logits, mask: Mask) -> None:
        """Add a batch of logits (B, 1, H, W) with their masks, foreground above 0.5."""
        probability = logits.float().sigmoid().flatten(1)  # (B, N)
        foreground = mask.flatten(1) > 0.5
        self._mae += float((probability - mask.float().flatten(1)).abs().mean(dim=1).sum())
        self._curve += _f_curves(probability, foreground).sum(dim=0).cpu()
        self.count += len(mask)

    def compute(self) -> dict[str, float]:
        """The averages so far. ValueError before the first batch."""
        if self.count == 0:
            raise ValueError("nothing to average: update(logits, mask) comes first")
        return {
            "quick_mae": self._mae / self.count,
            "quick_max_f": float(self._curve.max()) / self.count,
        }


def _f_curves(probability: torch.Tensor, foreground: torch.Tensor, beta_squared: float = 0.3) -> torch.Tensor:
    """(B, N) -> (B, 256), thresholds from high to low."""
    batch = len(probability)
    levels = (probability * 255).long()
    image = torch.arange(batch, device=levels.device)[:, None]
    bins = (image * 2 + foreground) * 256 + levels
    counts = torch.bincount(bins.flatten(), minlength=batch * 512).view(batch, 2, 256)
    false_positive, true_positive = counts.flip(-1).cumsum(-1).double().unbind(1)
    precision = true_positive / (true_positive + false_positive).clamp(min=1)
    recall = true_positive / true_positive[:, -1:].clamp(min=1)
    denominator = (beta_squared * precision + recall).clamp(min=torch.finfo(torch.float64).tiny)
    return (1 + beta_squared) * precision * recall / denominator
