"""Objectives: losses applied to everything that a model returns, term by named term."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from ..blocks import blank_image, full_precision, mask_edges, outline, resize, spatial_size
from ..contracts import FeatureInfo, Logits, Mask, Model, Objective, Prediction
from .checks import checked_weight
from .edge import BalancedBCELoss
from .pixel import BCELoss

Loss = Callable[[Logits, Mask], Tensor]

_NO_EDGES = (
    "EdgeSupervision needs a model that predicts edges; its prediction has no edge_logits (a model with decoder "
    "'edge_guided' has them)"
)


class DeepSupervision(Objective):
    """A loss on the answer and on every side output, enlarged to the mask's size.

    Terms: `main`, and `side_1`, `side_2`, ... in the order of `side_logits`.

    As in all objectives here, each term's gradient is taken with the term and kept in place of the maps that led to it.
    It cannot be differentiated again.

    Source: U²-Net (arXiv:2005.09007), section 3.3, where all weights are 1.

    Args:
        loss: Any `(logits, mask) -> scalar`; `nn.BCEWithLogitsLoss()` is one.
        side_weight: Weight of each side term; 0 supervises the answer alone.

    Raises:
        ValueError: A weight that is negative or not finite.
    """

    def __init__(self, loss: Loss, *, side_weight: float = 1.0) -> None:
        super().__init__()
        self.loss: Loss = loss
        self.side_weight = checked_weight("side_weight", side_weight)

    def terms(self, prediction: Prediction, mask: Mask) -> dict[str, Tensor]:
        """One term per output."""
        terms = {"main": self._term(prediction.logits, mask)}
        if self.side_weight:
            for index, logits in enumerate(prediction.side_logits, start=1):
                terms[f"side_{index}"] = self.side_weight * self._term(logits, mask)
        return terms

    def _term(self, logits: Logits, mask: Mask) -> Tensor:
        with full_precision(logits, mask) as (logits, mask):
            return _settled(_enlarging(self.loss), logits, mask)


class EdgeSupervision(Objective):
    """A loss between the edges that a model predicts and those of the mask.

    Needs a model with `edge_logits`, such as one whose decoder is `EdgeGuidedDecoder`. Term: `edge`, or `edge_1`,
    `edge_2`, ... where the model predicts several maps.

    `WeightedSum(mask=(1.0, DeepSupervision(BCELoss())), edge=(1.0, EdgeSupervision()))`

    Source: EGNet (arXiv:1908.08297). Differs from its code, which sums over pixels: the default loss is the mean.

    Args:
        loss: Any `(logits, edges) -> scalar`. Default: `BalancedBCELoss()`.
        edges: Makes the target, in [0, 1], of the mask.
    """

    def __init__(self, loss: Loss | None = None, *, edges: Callable[[Mask], Mask] = mask_edges) -> None:
        super().__init__()
        self.loss: Loss = BalancedBCELoss() if loss is None else loss
        self.edges = edges

    def check(self, model: Model) -> None:
        """Raise a ValueError where the model predicts no edges."""
        if predicts_edges(model) is False:
            raise ValueError(_NO_EDGES)

    def terms(self, prediction: Prediction, mask: Mask) -> dict[str, Tensor]:
        """One term per predicted edge map."""
        if not prediction.edge_logits:
            raise ValueError(_NO_EDGES)
        target = self.edges(mask)
        terms = []
        for logits in prediction.edge_logits:
            with full_precision(logits, target) as (logits, edges):
                terms.append(_settled(_enlarging(self.loss), logits, edges))
        names = [f"edge_{index}" for index in range(1, len(terms) + 1)] if len(terms) > 1 else ["edge"]
        return dict(zip(names, terms, strict=True))


class IntermediateSupervision(Objective):
    """A loss between the model's features and those of a GT encoder that looks at the mask.

    Used in training only, never at inference. The GT encoder is frozen: its parameters take no gradient, it stays
    in eval mode and runs without a graph, and it belongs to this objective, not to the model. Terms: `feature_1`,
    `feature_2`, ..., finest first; where sizes differ by rounding, the target is resized.

    The published code offers four losses and uses the mean squared error, the default here. The others, with
    `torch.nn` as `nn` and `torch.nn.functional` as `F`:

    - absolute error: `loss=nn.L1Loss()`
    - smooth absolute error: `loss=nn.SmoothL1Loss()`
    - Kullback-Leibler divergence of the softmax over channels, averaged over all elements:
      `loss=lambda features, target: F.kl_div(features.log_softmax(1), target.softmax(1), reduction="none").mean()`

    Source: IS-Net (arXiv:2203.03041), section 4.2. Differs from the published code, whose "frozen" encoder stays
    in train mode and keeps changing its batch statistics.

    Args:
        gt_encoder: A trained GT encoder, such as `GTEncoder.like(model)`. It is frozen in place.
        student: The model to be supervised, to have the shapes checked here. `fit` checks them in any case.
        loss: Any `(features, target) -> scalar`, of two (B, C, H, W). Default: `nn.MSELoss()`.

    Raises:
        ValueError: A network that takes images rather than masks, or features that do not fit the student's.
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
        """Raise a ValueError where the model's features do not fit the GT encoder's."""
        own, other = self.gt_encoder.feature_info, model.feature_info
        if own != other:
            raise ValueError(
                f"the GT encoder gives features {_described(own)} but the model {_described(other)}; "
                "GTEncoder.like(model) makes one that fits"
            )

    def terms(self, prediction: Prediction, mask: Mask) -> dict[str, Tensor]:
        """One term per feature."""
        floats = mask if mask.is_floating_point() else mask.float()  # the losses take masks of any type too
        with torch.no_grad():
            targets = self.gt_encoder.features(self.gt_encoder.preprocessing.normalize(floats))
        if len(targets) != len(prediction.features):
            raise ValueError(
                f"the GT encoder gives {len(targets)} features but the prediction holds {len(prediction.features)}"
            )
        terms = {}
        pairs = zip(prediction.features, targets, strict=True)
        for index, (feature, target) in enumerate(pairs, start=1):
            with full_precision(feature, target) as (feature, target):
                target = resize(target, spatial_size(feature))
                terms[f"feature_{index}"] = _settled(self.loss, feature, target)
        return terms

    def train(self, mode: bool = True) -> Self:
        """Leave the GT encoder in eval mode whatever is asked."""
        super().train(mode)
        self.gt_encoder.eval()
        return self


class WeightedSum(Objective):
    """A weighted sum of named objectives; their terms are logged as `name/term`.

    `WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(0.5, DeepSupervision(EdgeBCELoss())))`

    Args:
        **parts: Name -> (weight, objective).

    Raises:
        ValueError: No parts, or a weight that is negative or not finite.
        TypeError: A part that is no (weight, objective) pair, or a weight that is no number.
    """

    def __init__(self, **parts: tuple[float, Objective]) -> None:
        super().__init__()
        if not parts:
            raise ValueError("WeightedSum needs a part: WeightedSum(name=(weight, objective), ...)")
        for name, part in parts.items():
            if not (isinstance(part, tuple) and len(part) == 2 and isinstance(part[1], Objective)):
                raise TypeError(
                    f"{name} must be a pair (weight, objective); got {part!r}"
                    " (DeepSupervision(loss) makes an objective of a loss)"
                )
            checked_weight(f"the weight of {name}", part[0])
        self.weights = {name: float(weight) for name, (weight, _) in parts.items()}
        self.objectives = nn.ModuleList(objective for _, objective in parts.values())

    def terms(self, prediction: Prediction, mask: Mask) -> dict[str, Tensor]:
        """The terms of every part, weighted."""
        return {
            f"{name}/{term}": weight * value
            for (name, weight), objective in zip(self.weights.items(), self._parts(), strict=True)
            for term, value in objective.terms(prediction, mask).items()
        }

    def check(self, model: Model) -> None:
        """Ask every part."""
        for objective in self._parts():
            objective.check(model)

    def _parts(self) -> list[Objective]:
        return [cast(Objective, part) for part in self.objectives]


@torch.no_grad()
def predicts_edges(model: Model) -> bool | None:
    """Whether a model's predictions have `edge_logits`, found on its outline; None where that cannot be run."""
    try:
        prediction: Prediction = outline(model)(blank_image(model))
    except Exception:  # a model may use what the meta device does not have; training will tell
        return None
    return bool(prediction.edge_logits)


def default_objective(model: Model) -> Objective:
    """What `fit` minimises when nothing else is asked for: cross-entropy on every map.

    `DeepSupervision(BCELoss())`, and for a model that predicts edges `EdgeSupervision()` beside it.
    """
    if predicts_edges(model):
        return WeightedSum(mask=(1.0, DeepSupervision(BCELoss())), edge=(1.0, EdgeSupervision()))
    return DeepSupervision(BCELoss())


def _enlarging(loss: Loss) -> Loss:
    """The loss on logits that are brought to the mask's size."""
    return lambda logits, mask: loss(resize(logits, spatial_size(mask)), mask)


def _settled(loss: Callable[[Tensor, Tensor], Tensor], tensor: Tensor, target: Tensor) -> Tensor:
    """A loss whose gradient is taken at once, so that it alone is kept for the backward pass.

    The loss would keep several maps at the target's size and in float32; the gradient has the tensor's size. A loss
    that teaches something else as well, such as parameters of its own, keeps what it needs.
    """
    if not (torch.is_grad_enabled() and tensor.requires_grad):
        return loss(tensor, target)
    leaf = tensor.detach().requires_grad_()
    value = loss(leaf, target)
    if value.numel() > 1 or _learners(value) != {leaf}:
        return loss(tensor, target)
    return cast(Tensor, _Settled.apply(tensor, value.detach(), *torch.autograd.grad(value, leaf)))


class _Settled(torch.autograd.Function):
    """Gives a value with a gradient that is known."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None, None]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "an objective's gradient cannot be differentiated again (create_graph=True); sum the loss itself over "
                "the prediction's maps instead"
            )
        (gradient,) = ctx.saved_tensors
        return gradient * scale, None, None


def _learners(value: Tensor) -> set[Tensor]:
    """The leaves that a value has a gradient for."""
    leaves: set[Tensor] = set()
    seen: set[Any] = {None}
    waiting: list[Any] = [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
            if hasattr(node, "variable"):
                leaves.add(node.variable)
    return leaves


def _described(info: FeatureInfo) -> str:
    return f"of channels {info.channels} at strides {info.strides}"
