"""The losses that BiRefNet is trained with."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ..checking import choice
from ..losses.pixel import BCELoss, MAELoss
from ..losses.region import IoULoss
from ..losses.ssim import SSIMLoss
from .deep import DeepSupervision
from .gradient import GradientSupervision
from .weighted_sum import WeightedSum

Task: TypeAlias = Literal["dis5k", "cod", "hrsod", "general", "matting"]
_WEIGHTS: dict[str, dict[str, float]] = {
    "general": {"bce": 30, "iou": 0.5, "ssim": 10, "mae": 100},
    "matting": {"bce": 30, "ssim": 10, "mae": 100},
}
_SEGMENTATION: dict[str, float] = {"bce": 30, "iou": 0.5, "ssim": 10}


def birefnet(*, task: Task = "dis5k") -> WeightedSum:
    """Build the objective of BiRefNet: cross-entropy, IoU, SSIM and absolute error on all maps, and the gradients.

    For a model with `extras["gradient_logits"]`, such as `create_model("birefnet")`. Parts, with their weights: `bce`
    (30), `iou` (0.5, not for matting; the sum over the batch), `ssim` (10 times half of `SSIMLoss`, with zeros around
    the image), `mae` (100, for general and matting only), `gradient` (1).

    Source: BiRefNet (arXiv:2401.03407), as in its code, whose values it has. Differs: a probability that float32 rounds
    to 0 or 1 keeps its gradient; the IoU of an empty mask and an empty prediction is defined.

    Args:
        task: `"dis5k"`, `"cod"` and `"hrsod"` are the same; `"general"`, or `"matting"`.
    """
    choice("task", task, get_args(Task))
    losses = {
        "bce": BCELoss(),
        "iou": IoULoss(smoothing=0, reduction="sum"),
        "ssim": SSIMLoss(padding="zeros"),
        "mae": MAELoss(),
    }
    scale = {"ssim": 0.5}
    parts = {
        name: (scale.get(name, 1) * weight, DeepSupervision(losses[name], side_weight=1, align_corners=True))
        for name, weight in _WEIGHTS.get(task, _SEGMENTATION).items()
    }
    return WeightedSum(**parts, gradient=(1.0, GradientSupervision()))
