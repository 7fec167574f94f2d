"""The losses that BiRefNet is trained with."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ..checking import choice, whole
from ..contracts import Objective
from ..losses.pixel import BCELoss, MAELoss
from ..losses.region import IoULoss
from ..losses.ssim import SSIMLoss
from .deep import DeepSupervision
from .final_epochs import FinalEpochs
from .gradient import GradientSupervision
from .weighted_sum import WeightedSum

Task: TypeAlias = Literal["dis5k", "cod", "hrsod", "general", "matting"]
_WEIGHTS: dict[str, dict[str, float]] = {
    "general": {"bce": 30, "iou": 0.5, "ssim": 10, "mae": 100},
    "matting": {"bce": 30, "ssim": 10, "mae": 100},
}
_SEGMENTATION: dict[str, float] = {"bce": 30, "iou": 0.5, "ssim": 10}
_FACTORS: dict[str, dict[str, float]] = {"matting": {"ssim": 0.9}}
_SEGMENTATION_FACTORS: dict[str, float] = {"bce": 0.0, "iou": 0.5, "mae": 0.9}


def birefnet(*, task: Task = "dis5k", last_epochs: int = 0) -> WeightedSum:
    """Build the objective of BiRefNet: cross-entropy, IoU, SSIM and absolute error on all maps, and the gradients.

    For a model with `extras["gradient_logits"]`, such as `create_model("birefnet")`. Parts, with their weights: `bce`
    (30), `iou` (0.5, not for matting; the sum over the batch), `ssim` (10 times half of `SSIMLoss`, with zeros around
    the image), `mae` (100, for general and matting only), `gradient` (1).

    Source: BiRefNet (arXiv:2401.03407), as in its code, whose values it has. Differs: a probability that float32 rounds
    to 0 or 1 keeps its gradient; the IoU of an empty mask and an empty prediction is defined.

    Args:
        task: `"dis5k"`, `"cod"` and `"hrsod"` are the same; `"general"`, or `"matting"`.
        last_epochs: Number of epochs at the end of the run in which the weights change; published are 40 for
            `"dis5k"`, 10 for `"matting"` and 20 for the others. At the start of each, the weights of cross-entropy, IoU
            and absolute error are multiplied by 0, 0.5 and 0.9; for matting, that of SSIM by 0.9.
    """
    choice("task", task, get_args(Task))
    whole("last_epochs", last_epochs, least=0)
    losses = {
        "bce": BCELoss(),
        "iou": IoULoss(smoothing=0, reduction="sum"),
        "ssim": SSIMLoss(padding="zeros"),
        "mae": MAELoss(),
    }
    scale, factors = {"ssim": 0.5}, _FACTORS.get(task, _SEGMENTATION_FACTORS)
    parts: dict[str, tuple[float, Objective]] = {}
    for name, weight in _WEIGHTS.get(task, _SEGMENTATION).items():
        part: Objective = DeepSupervision(losses[name], side_weight=1, align_corners=True)
        if last_epochs and name in factors:
            part = FinalEpochs(part, factor=factors[name], epochs=last_epochs)
        parts[name] = (scale.get(name, 1) * weight, part)
    return WeightedSum(**parts, gradient=(1.0, GradientSupervision()))
