"""Structure measure of one image."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .measures import EPSILON
from .pair import Pair


def s_measure(prediction: NDArray[Any], mask: NDArray[Any], *, alpha: float = 0.5, normalize: bool = True) -> float:
    """Compute the structure measure, alpha * object + (1 - alpha) * region, as in PySODMetrics.

    For an empty mask it is 1 - the prediction's mean, for a full mask the mean. It is never below 0.

    Source: Fan et al. (arXiv:1708.00786). Differs: a quadrant without pixels, which results from a mask in the last
    row or column, contributes 0, while PySODMetrics gives NaN. A quadrant in which prediction and mask are constant
    has similarity 1, while in PySODMetrics rounding may change it.

    Args:
        prediction: (H, W), uint8, or float in [0, 1].
        mask: (H, W), uint8 (foreground above 128) or bool.
        alpha: Weight of the object term; 0.5 in this field.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
    """
    return structure(Pair(prediction, mask, normalize=normalize), alpha=alpha)


def structure(pair: Pair, *, alpha: float = 0.5) -> float:
    """Compute `s_measure` of a pair."""
    quadrants = [_moments(pair, [index]) for index in range(4)]
    share = pair.area / pair.size
    if pair.area in (0, pair.size):
        mean = sum(part.pixels * part.mean for sides in quadrants for part in sides) / pair.size
        return mean if pair.area else 1 - mean
    background, foreground = _moments(pair, range(4))
    object_term = share * _object(foreground, foreground.mean) + (1 - share) * _object(background, 1 - background.mean)
    weights = [(sides[0].pixels + sides[1].pixels) / pair.size for sides in quadrants]
    weights[3] = 1 - sum(weights[:3])
    region_term = sum(
        weight * _region(*sides)
        for weight, sides in zip(weights, quadrants, strict=True)
        if sides[0].pixels + sides[1].pixels
    )
    return max(0.0, alpha * object_term + (1 - alpha) * region_term)


class _Moments(NamedTuple):
    """Moments of the prediction over some pixels."""

    pixels: int
    mean: float
    """Mean; 0 without any pixels."""
    squares: float
    """Sum of squared differences from the mean; exactly 0 if the prediction has one value."""


def _moments(pair: Pair, quadrants: Iterable[int]) -> tuple[_Moments, _Moments]:
    """Compute the moments of the background and of the foreground of some quadrants."""
    if pair.of_levels:
        negatives, positives = pair.histogram[list(quadrants)].sum(axis=0)
        return _weighted(pair.table, negatives), _weighted(pair.table, positives)
    inside = [pair.quadrants[index] for index in quadrants]
    negative, positive = (
        np.concatenate([pair.values[part][side[part]] for part in inside])
        for side in (pair.background, pair.foreground)
    )
    return _weighted(negative, np.ones_like(negative)), _weighted(positive, np.ones_like(positive))


def _weighted(values: NDArray[np.float64], counts: NDArray[Any]) -> _Moments:
    count = int(counts.sum())
    present = values[counts > 0]
    if not count or present.min() == present.max():
        return _Moments(count, float(present[0]) if count else 0.0, 0.0)
    mean = float((values * counts).sum()) / count
    return _Moments(count, mean, float(((values - mean) ** 2 * counts).sum()))


def _object(part: _Moments, mean: float) -> float:
    """Compute how uniform and close to 1 the prediction is inside the object; for background, 1 - the prediction."""
    deviation = sqrt(part.squares / (part.pixels - 1)) if part.pixels > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + deviation + EPSILON)


def _region(background: _Moments, foreground: _Moments) -> float:
    """Compute the structural similarity of prediction and mask in one quadrant."""
    count = background.pixels + foreground.pixels
    share = foreground.pixels / count
    between = foreground.mean - background.mean
    mean = background.mean + share * between
    spread = count * share * (1 - share)  # of the mask; 0 in a quadrant of one class
    squares = background.squares + foreground.squares + spread * between * between
    free = count - 1 + EPSILON
    alike = 4 * mean * share * spread * between / free
    bound = (mean * mean + share * share) * (squares + spread) / free
    if alike != 0:
        return alike / (bound + EPSILON)
    return 1.0 if bound == 0 else 0.0
