"""Quick batched metrics for validation during training, on the device of the tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..contracts import Logits, Mask
from ..records import Metric
from .measures import Confusion, f_measure, iou
from .pair import Pair
from .per_image import average


class OnlineMetrics:
    """Averages of `quick_mae`, `quick_max_f` and `quick_iou` over a validation set, at the network's resolution.

    For choosing between checkpoints; not comparable with papers, whose metrics are computed at the masks' native size
    (`dichoseg.evaluate`). The probability is the sigmoid of the logits in float32, without min-max normalization.

    - `quick_mae`: mean absolute difference between probability and mask, averaged over images. The mask is not
      binarized, so soft edges keep their values.
    - `quick_max_f`: maximum, over 256 thresholds, of the F-curve averaged over images; F as in `f_curve` with
      b = 0.3, and the mask's foreground above 0.5. An image with an empty mask has F = 0.
    - `quick_iou`: intersection over union at gray level 128, averaged over images; 0 if both are empty.

    Ignored pixels count nowhere: they are left out of the built-in metrics, and are background that is predicted
    perfectly for further ones of shapes, as in `Pair`. An image without a pixel that counts is left out.

    A NaN logit makes `quick_mae` NaN, and is background for the other metrics.

    Args:
        metrics: Further metrics of single images, computed from the probability rounded to 8 bits. Their keys are
            `quick_<name>`.
    """

    def __init__(self, metrics: Sequence[Metric] = ()) -> None:
        self.metrics = tuple(metrics)
        self.count = 0
        self._values: dict[str, list[float]] = {metric.name: [] for metric in self.metrics}
        self._mae = 0.0
        self._curve = np.zeros(256)
        self._iou = 0.0

    @torch.no_grad()
    def update(self, logits: Logits, mask: Mask, weight: Tensor | None = None) -> None:
        """Add logits (B, 1, H, W), masks, whose foreground is above 0.5, and weights, 0 at ignored pixels."""
        if logits.shape != mask.shape:
            raise ValueError(
                f"logits and mask must have the same shape; got {tuple(logits.shape)} and {tuple(mask.shape)}"
            )
        probability = logits.float().sigmoid()
        if weight is None:
            self._add(probability.flatten(1), mask.float().flatten(1))
            self._add_further(probability, mask, None)
            return
        for one in zip(probability, mask.float(), weight > 0, strict=True):
            counted = one[2]
            if counted.any():
                self._add(one[0][counted][None], one[1][counted][None])
                self._add_further(one[0][None], one[1][None], counted[None])

    def _add(self, probability: Tensor, target: Tensor) -> None:
        """Add the pixels of images (B, N) to the built-in metrics."""
        self._mae += float((probability - target).abs().mean(dim=1).sum())
        counts = _level_counts(probability, target > 0.5).cpu().numpy()
        false_positives, true_positives = counts[..., ::-1].cumsum(axis=-1).swapaxes(0, 1)  # (B, 256) each
        foreground = true_positives[:, -1:]  # (B, 1)
        confusion = Confusion(true_positives, false_positives, foreground, target[0].numel())
        self._curve += f_measure(confusion).sum(axis=0)
        self._iou += float(iou(confusion)[:, 255 - 128].sum())
        self.count += len(target)

    def _add_further(self, probability: Tensor, mask: Mask, counted: Tensor | None) -> None:
        """Add images (B, 1, H, W) to the further metrics."""
        if not self.metrics:
            return
        levels = (probability.nan_to_num() * 255).round().byte()[:, 0].cpu().numpy()
        foreground = (mask.float() > 0.5)[:, 0].cpu().numpy()
        weights = [None] * len(levels) if counted is None else counted[:, 0].cpu().numpy()
        for prediction, inside, weight in zip(levels, foreground, weights, strict=True):
            pair = Pair(prediction, inside, normalize=False, weight=weight)
            for metric in self.metrics:
                self._values[metric.name].append(float(metric.of_pair(pair)))

    def __getstate__(self) -> dict[str, object]:
        """Leave out the metrics, whose functions may not be picklable: a copy in another process is only merged."""
        return {**vars(self), "metrics": ()}

    def merge(self, other: OnlineMetrics) -> None:
        """Add the batches of another `OnlineMetrics` with the same metrics."""
        self._mae += other._mae
        self._curve += other._curve
        self._iou += other._iou
        self.count += other.count
        for name, values in other._values.items():
            self._values[name] += values

    def compute(self) -> dict[str, float]:
        """Return the averages so far; raise a ValueError before the first batch."""
        if self.count == 0:
            raise ValueError("nothing to average; call update(logits, mask) first")
        return {
            "quick_mae": self._mae / self.count,
            "quick_max_f": float(self._curve.max()) / self.count,
            "quick_iou": self._iou / self.count,
            **{f"quick_{name}": average(values) for name, values in self._values.items()},
        }


def _level_counts(probability: Tensor, foreground: Tensor) -> Tensor:
    """Count background and foreground pixels at each gray level, lowest first: (B, N) -> (B, 2, 256)."""
    batch = len(probability)
    levels = (probability.nan_to_num() * 255).long()
    image = torch.arange(batch, device=levels.device)[:, None]
    bins = (image * 2 + foreground) * 256 + levels
    return torch.bincount(bins.flatten(), minlength=batch * 512).view(batch, 2, 256)
