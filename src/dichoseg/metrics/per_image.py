"""Records of the metrics of single images, registered like those of plugins."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from math import fsum, isnan, nan
from types import MappingProxyType

from ..records import Metric
from ..registry import has_component, load_component
from .boundary import boundary_iou, mean_boundary_accuracy
from .correction import hce
from .multi_scale import at_adaptive, at_half
from .pair import Pair
from .structure import structure
from .weighted import weighted


def _metric(name: str, of_pair: Callable[[Pair], float], definition: str, *, falls: bool = False) -> Metric:
    return Metric(name, of_pair, not falls, f"{definition}, averaged over images")


MAE = _metric(
    "mae",
    lambda pair: pair.absolute_error,
    "mean absolute difference between prediction and binary mask",
    falls=True,
)
MSE = _metric(
    "mse",
    lambda pair: pair.squared_error,
    "mean squared difference between prediction and binary mask",
    falls=True,
)
S_MEASURE = _metric("s_measure", structure, "structure measure (Fan et al., 2017), alpha 0.5")
WEIGHTED_F = _metric("weighted_f", weighted, "weighted F-measure (Margolin et al., 2014), beta squared 1")
HCE = _metric(
    "hce",
    lambda pair: (
        hce(
            pair.prediction if pair.counted is None else pair.values > 0.5,  # whose range ignored pixels would change
            pair.foreground,
            normalize=pair.normalize,
            skeleton=pair.skeleton,
        ).total
    ),
    "human correction effort (Qin et al., 2022), gamma 5, epsilon 2",
    falls=True,
)
BOUNDARY_IOU = Metric(
    "boundary_iou",
    lambda pair: boundary_iou(pair.prediction, pair.foreground),
    definition="Boundary IoU (Cheng et al., 2021) above level 128, averaged over images where it is defined",
)
MBA = Metric(
    "mba",
    lambda pair: mean_boundary_accuracy(pair.prediction, pair.foreground),
    definition="mean boundary accuracy (CascadePSP, 2020) above level 128, averaged over images where it is defined",
)
ADAPTIVE_MSIOU = _metric(
    "adaptive_msiou", at_adaptive, "multi-scale IoU (Ahmadzadeh et al., 2021) at the adaptive threshold"
)
BINARY_MSIOU = _metric("binary_msiou", at_half, "multi-scale IoU (Ahmadzadeh et al., 2021) at one half")

RECORDS: Mapping[str, Metric] = MappingProxyType(
    {
        record.name: record
        for record in (MAE, MSE, S_MEASURE, WEIGHTED_F, HCE, BOUNDARY_IOU, MBA, ADAPTIVE_MSIOU, BINARY_MSIOU)
    }
)


def average(values: Iterable[float]) -> float:
    """Return the mean of a metric's values, without images for which it is undefined, NaN; NaN if no value remains."""
    defined = [value for value in values if not isnan(value)]
    return fsum(defined) / len(defined) if defined else nan


def record_of(name: str) -> Metric | None:
    """Return the record of a metric of single images, dichoseg's own or a plugin's; None if there is none."""
    return RECORDS.get(name) or _plugin_record(name)


def higher_is_better(name: str) -> bool:
    """Return whether a metric improves by rising: by its record, else unless it is an error rate, `fpr` or `ber`."""
    record = record_of(name)
    return not name.endswith(("fpr", "ber")) if record is None else record.higher_is_better


@functools.cache
def _plugin_record(name: str) -> Metric | None:
    record: Metric | None = load_component("metrics", name) if has_component("metrics", name) else None
    return record
