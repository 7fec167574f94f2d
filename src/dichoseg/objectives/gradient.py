"""Gradient supervision: a loss on the gradients of the image that a model predicts inside the object."""

from __future__ import annotations

import functools
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks import full_precision, resize, spatial_size
from ..contracts import Image, Model, Objective, Prediction, Target
from ..tracing import predicts
from .eager_gradient import eager_gradient
from .ignored import without_ignored

_NO_GRADIENTS = (
    "GradientSupervision needs a model that predicts gradients; its prediction has no extras['gradient_logits'] "
    "(a model with decoder 'bilateral_reference' has them)"
)


class GradientSupervision(Objective):
    """Cross-entropy between the gradients that a model predicts, and those of the image inside the model's own masks.

    The target of each predicted map is the sigmoid of `image_gradients(image)` times the side logits of the same stage,
    enlarged to the image's size. It is not detached: a gradient also reaches the side logits. Terms: `gradient_1`,
    `gradient_2`, ..., finest first. Needs `Target(image=...)`, as `fit` passes it, and a model with
    `extras["gradient_logits"]`, such as one with `GradientHeads`. The mask is not used.

    Source: BiRefNet (arXiv:2401.03407), as in its code: resizing has aligned corners, and the image is normalized.
    """

    second_term: ClassVar[bool] = True
    """Leaves the inside of the object unsupervised, and must not be the only objective."""

    def check(self, model: Model) -> None:
        """Raise a ValueError if the model predicts no gradients."""
        if predicts(model, lambda prediction: prediction.extras.get("gradient_logits")) is False:
            raise ValueError(_NO_GRADIENTS)

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return one term per predicted map."""
        logits = prediction.extras.get("gradient_logits")
        if not logits:
            raise ValueError(_NO_GRADIENTS)
        if target.image is None:
            raise ValueError("GradientSupervision needs the image that the model saw: Target(mask, image=...)")
        loss = functools.partial(_loss, weight=target.weight)
        terms = {}
        pairs = zip(logits, prediction.side_logits, strict=False)
        for index, (gradient, side) in enumerate(pairs, start=1):
            with full_precision(torch.cat([gradient, side], dim=1), target.image) as (both, image):
                terms[f"gradient_{index}"] = eager_gradient(loss, both, image_gradients(image))
        return terms


def image_gradients(image: Image) -> Tensor:
    """Return the difference of each pixel of the gray image to the mean of 5 by 5 pixels around it, (B, 1, H, W).

    The mean has weight 25/48, so that the kernel's absolute values sum to 1; the image is reflected at its border.
    """
    kernel = image.new_full((1, 1, 5, 5), 1 / 48)
    kernel[..., 2, 2] = -0.5
    gray = image.mean(dim=1, keepdim=True)
    return F.conv2d(F.pad(gray, [2] * 4, mode="reflect"), kernel)


def _loss(both: Tensor, gradients: Tensor, weight: Tensor | None) -> Tensor:
    predicted, side = resize(both, spatial_size(gradients), align_corners=True).split(1, dim=1)
    return F.binary_cross_entropy_with_logits(*without_ignored(predicted, (gradients * side).sigmoid(), weight))
