"""Checks of a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..blocks import resize
from ..contracts import Logits, Prediction
from .common import TOLERANCE, check_finite, difference, require, require_same, require_type, shapes


def check_form(name: str, prediction: Any, *, batch: int, size: tuple[int, int]) -> None:
    """Check types and shapes of a `Prediction`, or a named tuple with more fields, for an image of `size`."""
    fields = Prediction._fields
    require(
        isinstance(prediction, tuple) and all(hasattr(prediction, field) for field in fields),
        name,
        f"a Prediction with {', '.join(fields)}, in train and in eval mode",
        f"a {type(prediction).__name__}",
        "return Prediction(logits, side_logits, edge_logits, features) of dichoseg.contracts",
    )
    change = "leave it out, or pass further named outputs as a dict"
    require_type(name, prediction.extras, dict, change, place=" in extras")
    require(
        isinstance(prediction.logits, Tensor) and prediction.logits.shape == (batch, 1, *size),
        name,
        f"logits at the image's size, {(batch, 1, *size)}",
        _described(prediction.logits),
        "one channel; resize(logits, spatial_size(image)) of dichoseg.blocks",
    )
    for field in ("side_logits", "edge_logits", "features"):
        values = getattr(prediction, field)
        require(
            isinstance(values, tuple) and all(isinstance(value, Tensor) for value in values),
            name,
            f"a tuple of tensors in {field}",
            _described(values),
            "pass a tuple, which may be empty",
        )
        require(
            field == "features" or all(value.ndim == 4 and value.shape[:2] == (batch, 1) for value in values),
            name,
            f"maps of one channel, ({batch}, 1, h, w), in {field}",
            shapes(values),
            "each must be one map of logits",
        )


def check_prediction(name: str, prediction: Prediction) -> None:
    """Check that values are finite, and that `side_logits` do not repeat the final logits."""
    check_finite(name, [prediction.logits, *prediction.side_logits, *prediction.edge_logits, *prediction.features])
    size = (prediction.logits.shape[-2], prediction.logits.shape[-1])
    for index, side in enumerate(prediction.side_logits):
        apart = difference([resize(side, size)], [prediction.logits])
        require(
            apart > 1e-2 * TOLERANCE or bool(side.std() == 0),
            name,
            "final logits that are not repeated in side_logits",
            f"side_logits[{index}] equal to logits",
            "leave them out there, or deep supervision counts them twice",
        )


def check_final_logits(name: str, prediction: Prediction, logits: Logits, what: str) -> None:
    """Check that logits computed without the rest equal those of the prediction."""
    wanted = f"{what} to give the logits of the prediction, in eval mode"
    change = "both must give the same logits, logits() without the work that only training needs"
    require_same(name, [logits], [prediction.logits], wanted, change)


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Sequence) and all(isinstance(each, Tensor) for each in value):
        return f"a {type(value).__name__} of {shapes(value)}"
    return f"a {type(value).__name__}"
