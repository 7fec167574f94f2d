"""Averages of the metrics over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking import choice, unknown
from ..records import Metric
from ..registry import list_components
from . import dis
from .measures import MEASURES, Confusion
from .pair import Pair
from .per_image import RECORDS, average, record_of

OF_VARIANT = {
    "max": "maximum over 256 thresholds of the curve of {} that is averaged over images",
    "mean": "mean over 256 thresholds of the curve of {} that is averaged over images",
    "adaptive": "{} at twice the prediction's mean, at most 1, averaged over images",
    "binary": "{} above one half, averaged over images",
    "overall": "{} above one half, of the pixels of all images together",
}
OF_MEASURE = {
    measure: tuple(f"{variant}_{measure}" for variant in OF_VARIANT if (variant, measure) != ("overall", "e"))
    for measure in MEASURES
}
FAST = ("mae", "max_f", "mean_f", "adaptive_f", "s_measure", "max_e", "mean_e", "adaptive_e")
PAPER = (*FAST, "weighted_f", "hce")
CURVES = frozenset(name for names in OF_MEASURE.values() for name in names)
"""Metrics computed from curves and pixel counts, such as `max_f`; all others are functions of one image."""
ALL = tuple(dict.fromkeys((*PAPER, *RECORDS, *(name for names in OF_MEASURE.values() for name in names))))
GROUPS = {"fast": FAST, "paper": PAPER, "all": ALL, "msiou": ("adaptive_msiou", "binary_msiou"), **OF_MEASURE}
PROTOCOLS = {"pysodmetrics": ALL, "dis": tuple(dis.RECORDS)}


class Evaluator:
    """Average of metrics over a data set, updated image by image, as reported in papers.

    Stores sums and the values of each image, not the images. All images have equal weight, whatever their size.
    Evaluators can be pickled, and those of several processes can be merged.

    Metrics, by name:

    - `mae`, `mse`, `s_measure`, `weighted_f`, `hce`, `boundary_iou`, `adaptive_msiou`, `binary_msiou`: averages over
      images of the functions of the same names; `mba`: that of `mean_boundary_accuracy`. An image for which a metric
      is undefined, such as `mba` for an empty mask, is left out of its average; NaN if it is undefined for all images.
    - `max_f`, `mean_f`: maximum and mean, over 256 thresholds, of the F-curve averaged over images. `max_f` is thus
      the best value of a single threshold for the whole set, not the mean of each image's best.
    - `adaptive_f`, `binary_f`: averages over images of F with the prediction thresholded at twice its mean (at most
      1), and above 0.5.
    - `overall_f`: F of the pixels of all images together, thresholded above 0.5; large images have more weight.
    - The same five variants of all `MEASURES`: `max_iou`, `mean_dice`, `adaptive_e`, `binary_ber` and so on, except
      `overall_e`.
    - Metrics of plugins, by their names in `list_components("metrics")`.

    Groups: `"fast"` is mae, max_f, mean_f, adaptive_f, s_measure, max_e, mean_e and adaptive_e, computed in one pass
    over the pixels; `"paper"` adds weighted_f and hce, which each take about ten times as long; `"all"` is all metrics
    of dichoseg; the name of a measure, such as `"iou"`, is its variants; `"msiou"` is both multi-scale IoUs.

    An image with an empty mask has F = 0, even when the prediction is empty too; see `degenerate`.

    Args:
        metrics: Names of metrics and groups, in the order of the results.
        protocol: `"pysodmetrics"`, which papers use, or `"dis"`: the values that the DIS repository prints during
            training, for comparison with its logs. These are `mae`, against the mask without binarization; `max_f`,
            with 255 thresholds and with precision and recall averaged over images before they are combined; and
            `hce`, of the prediction above 128 without normalization. Groups are reduced to these three.
        normalize: Whether to min-max normalize each prediction to [0, 1] first, as both protocols do.
    """

    def __init__(
        self, *, metrics: Sequence[str] = ("fast",), protocol: str = "pysodmetrics", normalize: bool = True
    ) -> None:
        self.metrics = _expanded(metrics, protocol)
        self.protocol = protocol
        self.normalize = normalize
        self.reset()

    def reset(self) -> None:
        """Discard all images."""
        self._rows: list[dict[str, float]] = []
        self._names: list[str] = []
        self._sums: dict[str, NDArray[Any]] = {}
        self._degenerate = dict.fromkeys(("empty_masks", "full_masks", "constant_predictions"), 0)

    @property
    def count(self) -> int:
        """Number of images so far."""
        return len(self._rows)

    def update(
        self,
        prediction: NDArray[Any],
        mask: NDArray[Any],
        *,
        name: str = "",
        skeleton: NDArray[np.bool_] | None = None,
        weight: NDArray[Any] | None = None,
    ) -> None:
        """Add one image.

        Args:
            prediction: (H, W), uint8, or float in [0, 1].
            mask: (H, W), uint8 (foreground above 128) or bool.
            name: Name of the image in `table`.
            skeleton: Precomputed `dichoseg.metrics.skeleton(mask)`; only HCE uses it.
            weight: (H, W), 1 for pixels that count, 0 for ignored ones, as in `Pair`. Default: all pixels count.
        """
        pair = Pair(prediction, mask, normalize=self.normalize, skeleton=skeleton, weight=weight)
        curves = self._curves(pair)
        self._rows.append({metric: float(self._of_image(metric, pair, curves)) for metric in self.metrics})
        self._names.append(name)
        self._add(curves)
        self._degenerate["empty_masks"] += pair.area == 0
        self._degenerate["full_masks"] += pair.area == pair.size
        self._degenerate["constant_predictions"] += pair.constant

    def merge(self, other: Evaluator) -> None:
        """Add the images of another evaluator, for example from another process."""
        for setting in ("metrics", "protocol", "normalize"):
            ours, theirs = getattr(self, setting), getattr(other, setting)
            if ours != theirs:
                raise ValueError(f"only evaluators with the same {setting} can be merged; got {ours} and {theirs}")
        self._rows += other._rows
        self._names += other._names
        self._add(other._sums)
        for key, count in other._degenerate.items():
            self._degenerate[key] += count

    def compute(self) -> dict[str, float]:
        """Return the metrics of the images so far; raise a ValueError before the first image."""
        if self.count == 0:
            raise ValueError("nothing to average; call update(prediction, mask) first")
        return {metric: self._of_set(metric) for metric in self.metrics}

    def table(self) -> list[dict[str, str | float]]:
        """Return one row per image: its name and its own values.

        `max_f` is the image's best F over the thresholds here, so the mean of the rows is not the value of the set.
        The same holds for the other `max_` metrics and for `overall_` metrics, but not for any others.
        """
        return [{"name": name, **row} for name, row in zip(self._names, self._rows, strict=True)]

    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Return measure -> curve over the 256 thresholds, averaged over images; index i is gray level 255 - i.

        Includes the measures with a `max_` or `mean_` metric; F adds `precision` and `recall`. Empty for the protocol
        `"dis"`.
        """
        return {measure: total / self.count for measure, total in self._sums.items() if measure in MEASURES}

    def definitions(self) -> dict[str, str]:
        """Return a one-line definition of each metric."""
        lines = {}
        for metric in self.metrics:
            record = _record(metric, self.protocol)
            variant, _, measure = metric.partition("_")
            name = {"f": "F (beta squared 0.3)", "e": "the E-measure", "iou": "IoU"}.get(measure, measure)
            lines[metric] = record.definition if record else OF_VARIANT[variant].format(name)
        return lines

    def degenerate(self) -> dict[str, int]:
        """Count the images with an empty mask, a full mask or a constant prediction, whose values are conventions.

        Several metrics are 0 for an empty mask, whatever the prediction, which lowers the average.
        """
        return dict(self._degenerate)

    def _curves(self, pair: Pair) -> dict[str, NDArray[Any]]:
        """Return the arrays that are summed over images."""
        if self.protocol == "dis":
            return {"precision, recall": dis.precision_recall(pair)} if "max_f" in self.metrics else {}
        curves: dict[str, NDArray[Any]] = {
            measure: function(pair.curve)
            for measure, function in MEASURES.items()
            if {f"max_{measure}", f"mean_{measure}"} & set(self.metrics)
            or (measure in ("precision", "recall") and {"max_f", "mean_f"} & set(self.metrics))
        }
        if any(metric.startswith("overall_") for metric in CURVES.intersection(self.metrics)):
            curves["overall"] = np.array(pair.binary)
        return curves

    def _of_image(self, metric: str, pair: Pair, curves: dict[str, NDArray[Any]]) -> float:
        record = _record(metric, self.protocol)
        if record:
            return record.of_pair(pair)
        variant, measure = metric.split("_", 1)
        if variant in ("max", "mean"):
            return _extreme(variant, curves[measure])
        return float(MEASURES[measure](pair.adaptive if variant == "adaptive" else pair.binary))

    def _of_set(self, metric: str) -> float:
        variant, _, measure = metric.partition("_") if metric in CURVES else ("", "", "")
        if metric == "max_f" and self.protocol == "dis":
            return dis.best_f(self._sums["precision, recall"] / self.count, offset=1e-8)
        if variant == "overall":
            return float(MEASURES[measure](Confusion(*self._sums["overall"])))
        if variant in ("max", "mean"):
            return _extreme(variant, self._sums[measure] / self.count)
        return average(row[metric] for row in self._rows)

    def _add(self, curves: dict[str, NDArray[Any]]) -> None:
        for key, curve in curves.items():
            self._sums[key] = self._sums[key] + curve if key in self._sums else curve


def _extreme(variant: str, curve: NDArray[np.float64]) -> float:
    return float(curve.max() if variant == "max" else curve.mean())


def _record(name: str, protocol: str) -> Metric | None:
    """Return the record of a metric of single images; None for one that is computed from curves or counts."""
    if protocol == "dis":
        return dis.RECORDS[name]
    return None if name in CURVES else record_of(name)


def _expanded(metrics: Sequence[str], protocol: str) -> tuple[str, ...]:
    """Expand groups and remove duplicates."""
    choice("protocol", protocol, PROTOCOLS)
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a sequence of names; got {metrics!r}; write ({metrics!r},)")
    known = PROTOCOLS[protocol]
    expanded: list[str] = []
    for name in metrics:
        if name in GROUPS:
            expanded += [one for one in GROUPS[name] if one in known]
        elif name in known or (protocol == "pysodmetrics" and record_of(name) is not None):
            expanded.append(name)
        else:
            plugins = list_components("metrics") if protocol == "pysodmetrics" else ()
            raise unknown(f"metric {name!r} in protocol {protocol!r}", name, dict.fromkeys((*known, *plugins, *GROUPS)))
    if not expanded:
        raise ValueError(f"metrics must name at least one metric of protocol {protocol!r}: {', '.join(known)}")
    return tuple(dict.fromkeys(expanded))
