"""Intermediate supervision: a loss between a model's features and those of a GT encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from ..blocks import full_precision, resize, spatial_size
from ..contracts import FeatureInfo, Model, Objective, Prediction, Target
from .eager_gradient import eager_gradient
from .ignored import counts


class IntermediateSupervision(Objective):
    """A loss between the model's features and those of a GT encoder that encodes the mask.

    Used only in training. The GT encoder is frozen: its parameters have no gradient, it stays in eval mode and runs
    without autograd. It belongs to this objective, not to the model. Terms: `feature_1`, `feature_2`, ..., finest
    first; if sizes differ by rounding, the target is resized.

    The published code offers four losses and uses the mean squared error, the default here. The others, with
    `torch.nn` as `nn` and `torch.nn.functional` as `F`:

    - absolute error: `loss=nn.L1Loss()`
    - smooth absolute error: `loss=nn.SmoothL1Loss()`
    - Kullback-Leibler divergence of the softmax over channels, averaged over all elements:
      `loss=lambda features, target: F.kl_div(features.log_softmax(1), target.softmax(1), reduction="none").mean()`

    Source: IS-Net (arXiv:2203.03041), section 4.2. Differs from the published code, whose "frozen" encoder stays
    in train mode and keeps changing its batch statistics.

    Args:
        gt_encoder: Trained GT encoder, such as one made by `GTEncoder.like(model)`. It is frozen in place.
        student: Model to be supervised, whose features are checked at once. `fit` checks them in any case.
        loss: Any `(features, target) -> scalar` of two (B, C, H, W) tensors. Default: `nn.MSELoss()`.
    """

    def __init__(
        self,
        gt_encoder: Model,
        *,
        student: Model | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if gt_encoder.preprocessing.source != "mask":
            raise ValueError(
                "a GT encoder takes masks; got a model with preprocessing.source='image' "
                "(GTEncoder.like(model) makes one that fits a model)"
            )
        self.gt_encoder: Model = gt_encoder.requires_grad_(False).eval()
        self.loss: Callable[[Tensor, Tensor], Tensor] = nn.MSELoss() if loss is None else loss
        if student is not None:
            self.check(student)

    def check(self, model: Model) -> None:
        """Raise a ValueError if the model's features do not fit the GT encoder's."""
        own, other = self.gt_encoder.feature_info, model.feature_info
        if own != other:
            raise ValueError(
                f"the GT encoder gives features {_describe(own)} but the model {_describe(other)}; "
                "GTEncoder.like(model) makes one that fits"
            )

    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return one term per feature."""
        mask, weight = target.mask, target.weight
        floats = mask if mask.is_floating_point() else mask.float()  # losses accept masks of any dtype
        if weight is not None:
            floats = torch.where(counts(weight, spatial_size(mask)), floats, 0.0)
        with torch.no_grad():
            targets = self.gt_encoder.features(self.gt_encoder.preprocessing.normalize(floats))
        terms = {}
        pairs = zip(prediction.features, targets, strict=True)
        for index, (feature, target_feature) in enumerate(pairs, start=1):
            with full_precision(feature, target_feature) as (feature, target_feature):
                target_feature = resize(target_feature, spatial_size(feature))
                if weight is not None:
                    feature = torch.where(counts(weight, spatial_size(feature)), feature, target_feature)
                terms[f"feature_{index}"] = eager_gradient(self.loss, feature, target_feature)
        return terms

    def train(self, mode: bool = True) -> Self:
        """Set the mode of everything but the GT encoder, which stays in eval mode."""
        super().train(mode)
        self.gt_encoder.eval()
        return self


def _describe(info: FeatureInfo) -> str:
    return f"of channels {info.channels} at strides {info.strides}"
