"""Conformance check of metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..metrics.pair import Pair
from ..records import Metric
from .common import attempt, draw_masks, require, require_type


def check_metric(metric: Metric, *, size: tuple[int, int] = (65, 97)) -> None:
    """Check that a metric keeps to the contract.

    - It is a `Metric` with an identifier as its name, and a definition of one line.
    - Its function returns a float, finite or NaN, for hard, empty and full masks and for a mask of one pixel, for
      8-bit and float predictions.
    - A prediction that equals the mask scores better than a shifted one, by `higher_is_better`; a measure of area
      alone, which cannot tell the two apart, does not pass.
    - Its inputs are not changed, and repeated calls give the same value.

    Args:
        metric: The record that is registered.
        size: Height and width of the images, best odd.
    """
    change = "register Metric(name, of_pair, higher_is_better, definition) of dichoseg.records"
    require_type("the metric", metric, Metric, change)
    name = str(metric.name)
    require(
        name.isidentifier() and bool(metric.definition.strip()) and "\n" not in metric.definition,
        name,
        "an identifier as name, and a definition of one line",
        f"name {metric.name!r}, definition {metric.definition!r}",
        "name is the key in results, definition is shown with the numbers",
    )
    noise = np.random.default_rng(0).random(size)
    masks = {what: (mask[0, 0] > 0.5).numpy() for what, mask in draw_masks(size) if what != "soft"}
    for what, mask in masks.items():
        for kind, prediction in (("8-bit", (noise * 255).astype(np.uint8)), ("float", noise)):
            where = f"{name} of a random {kind} prediction and a {what} mask"
            first, second = (_value(where, metric, prediction, mask) for _ in range(2))
            require(
                first == second or (math.isnan(first) and math.isnan(second)),
                where,
                "the same value whenever it is called",
                f"{first:.6g} and then {second:.6g}",
                "keep no running state and draw nothing",
            )
    hard = masks["hard"]
    levels = hard.astype(np.uint8) * np.uint8(255)
    elsewhere = np.roll(levels, (size[0] // 3, size[1] // 3), axis=(0, 1))
    right, wrong = (_value(f"{name} of a hard mask", metric, prediction, hard) for prediction in (levels, elsewhere))
    require(
        right != wrong and not math.isnan(right + wrong),
        name,
        "values that tell a mask from the same mask shifted",
        f"{right:.4g} and {wrong:.4g}",
        "compare pixel with pixel; a measure of only area or count cannot choose the best epoch",
    )
    require(
        right > wrong if metric.higher_is_better else right < wrong,
        name,
        "a better value for the mask itself than for one that is shifted",
        f"{right:.4g} and {wrong:.4g} with higher_is_better={metric.higher_is_better}",
        "set higher_is_better to the direction in which the metric improves",
    )


def _value(where: str, metric: Metric, prediction: Any, mask: Any) -> float:
    pair = Pair(prediction.copy(), mask.copy())
    with attempt(where, "of_pair(pair)", "it gets a dichoseg.metrics.Pair: pair.values, pair.foreground"):
        value: Any = metric.of_pair(pair)
    require(
        isinstance(value, float | int | np.floating | np.integer) and not math.isinf(value),
        where,
        "a finite float, or NaN if the metric is not defined",
        repr(value),
        "return a float; keep divisors away from 0",
    )
    require(
        np.array_equal(pair.prediction, prediction) and np.array_equal(pair.mask, mask),
        where,
        "inputs that are not changed",
        "changed ones",
        "work on copies",
    )
    return float(value)
