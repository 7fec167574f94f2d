"""Averages of the metrics over a data set."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking import choice, unknown
from ..records import Metric
from ..registry import list_components
from . import dis
from .binary import cut_above_128
from .correction import hce
from .measures import MEASURES, Confusion
from .pair import Pair
from .per_image import RECORDS, record_of

DIS_DEFINITIONS = {
    "mae": "mean absolute difference between prediction and grey mask, averaged over images",
    "max_f": "best F, beta squared 0.3, of precision and recall that are averaged over images first; 255 thresholds",
    "hce": "human correction effort (Qin et al., 2022), gamma 5, epsilon 2, of the file above level 128, averaged",
}
OF_VARIANT = {
    "max": "maximum over 256 thresholds of the curve of {} that is averaged over images",
    "mean": "mean over 256 thresholds of the curve of {} that is averaged over images",
    "adaptive": "{} at twice the prediction's mean, at most 1, averaged over images",
    "binary": "{} above one half, averaged over images",
    "overall": "{} above one half, of the pixels of all images together",
}
VARIANTS = ("max", "mean", "adaptive", "binary", "overall")
OF_MEASURE = {
    measure: tuple(f"{variant}_{measure}" for variant in VARIANTS if (variant, measure) != ("overall", "e"))
    for measure in MEASURES
}
FAST = ("mae", "max_f", "mean_f", "adaptive_f", "s_measure", "max_e", "mean_e", "adaptive_e")
PAPER = (*FAST, "weighted_f", "hce")
CURVES = frozenset(name for names in OF_MEASURE.values() for name in names)
"""Metrics of curves and confusions, such as `max_f`; all others are functions of one image."""
ALL = tuple(dict.fromkeys((*PAPER, *RECORDS, *(name for names in OF_MEASURE.values() for name in names))))
GROUPS = {"fast": FAST, "paper": PAPER, "all": ALL, "msiou": ("adaptive_msiou", "binary_msiou"), **OF_MEASURE}
PROTOCOLS = {"pysodmetrics": ALL, "dis": ("mae", "max_f", "hce")}


class Evaluator:
    """Average of metrics over a data set, image by image: the numbers that papers print.

    It keeps sums and each image's numbers, not the images. Each image counts alike, whatever its size. It can be
    pickled, and the evaluators of several processes can be merged.

    Metrics, by name:

    - `mae`, `mse`, `s_measure`, `weighted_f`, `hce`, `boundary_iou`, `adaptive_msiou`, `binary_msiou`: averages over
      images of the functions of those names; `mba`, of `mean_boundary_accuracy`. An image for which a metric is not
      defined, as `mba` is not for an empty mask, does not count in it; NaN if it is defined for none.
    - `max_f`, `mean_f`: maximum and mean, over the 256 thresholds, of the F-curve averaged over images. So
      `max_f` is the best that one threshold does for the whole set, not the mean of each image's best.
    - `adaptive_f`, `binary_f`: F at twice the prediction's mean (at most 1), and of the prediction cut at one
      half, averaged over images.
    - `overall_f`: F of all images' pixels together, cut at one half; here large images count more.
    - The same five of each of `MEASURES`: `max_iou`, `mean_dice`, `adaptive_e`, `binary_ber` and so on; there is no
      `overall_e`.
    - Metrics of plugins, by the names of `list_components("metrics")`.

    Groups: `"fast"` is mae, max_f, mean_f, adaptive_f, s_measure, max_e, mean_e and adaptive_e, which one pass over
    the pixels gives; `"paper"` adds weighted_f and hce, which cost some ten times as much each; `"all"` is
    everything; the name of a measure, as `"iou"`, is its five, and `"msiou"` its two.

    An image whose mask is empty has F = 0, even when the prediction is empty too; see `degenerate`.

    Args:
        metrics: Names of metrics and of groups. The result has their order.
        protocol: `"pysodmetrics"`, which papers use, or `"dis"`: the numbers that the DIS repository prints
            during training, for comparison with its logs. Those are `mae`, against the mask as it is, not
            binarised; `max_f`, with 255 thresholds and precision and recall averaged over images before they are
            combined; and `hce`, of the prediction as it is above 128. Groups are cut down to the three.
        normalize: Whether each prediction is stretched to [0, 1] first, as both protocols do.
    """

    def __init__(
        self, *, metrics: Sequence[str] = ("fast",), protocol: str = "pysodmetrics", normalize: bool = True
    ) -> None:
        self.metrics = _expanded(metrics, protocol)
        self.protocol = protocol
        self.normalize = normalize
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
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
    ) -> None:
        """Add one image.

        Args:
            prediction: (H, W), uint8, or float in [0, 1].
            mask: (H, W), uint8 (foreground above 128) or bool.
            name: What `table` calls the image.
            skeleton: The mask's skeleton, as `skeleton` of this folder gives it, where it is known already.
        """
        pair = Pair(prediction, mask, normalize=self.normalize, skeleton=skeleton)
        curves = self._curves(pair)
        self._rows.append({metric: float(self._of_image(metric, pair, curves)) for metric in self.metrics})
        self._names.append(name)
        self._add(curves)
        self._degenerate["empty_masks"] += pair.area == 0
        self._degenerate["full_masks"] += pair.area == pair.size
        self._degenerate["constant_predictions"] += pair.constant

    def merge(self, other: Evaluator) -> None:
        """Add the images that another evaluator has seen, for example in another process."""
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
        """The numbers of the data set so far. ValueError before the first image."""
        if self.count == 0:
            raise ValueError("nothing to average: update(prediction, mask) comes first")
        return {metric: self._of_set(metric) for metric in self.metrics}

    def table(self) -> list[dict[str, str | float]]:
        """One row per image: its name and its own numbers.

        There, `max_f` is the image's best F over the thresholds, so the rows do not average to the set's; nor do
        they for the other `max_` metrics and the `overall_` ones. For all others they do.
        """
        return [{"name": name, **row} for name, row in zip(self._names, self._rows, strict=True)]

    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Measure -> its curve over the 256 thresholds, averaged over images; index i is grey level 255 - i.

        Of those measures whose maximum or mean is wanted; with F come `precision` and `recall`. Empty for the
        protocol `"dis"`.
        """
        return {measure: total / self.count for measure, total in self._sums.items() if measure in MEASURES}

    def definitions(self) -> dict[str, str]:
        """Return one line for each metric that says how it is computed."""
        lines = {}
        for metric in self.metrics:
            variant, _, measure = metric.partition("_")
            name = {"f": "F (beta squared 0.3)", "e": "the E-measure", "iou": "IoU"}.get(measure, measure)
            if self.protocol == "dis":
                lines[metric] = DIS_DEFINITIONS[metric]
            elif metric in CURVES:
                lines[metric] = OF_VARIANT[variant].format(name)
            else:
                lines[metric] = _record(metric).definition
        return lines

    def degenerate(self) -> dict[str, int]:
        """How many images had an empty mask, a full mask, a constant prediction: those whose numbers are conventions.

        Several metrics are 0 for an empty mask, whatever the prediction: it lowers the average.
        """
        return dict(self._degenerate)

    def _curves(self, pair: Pair) -> dict[str, NDArray[Any]]:
        """What is summed over images before anything is made of it."""
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
        if self.protocol == "dis":
            return _dis_of_image(metric, pair, curves)
        if metric not in CURVES:
            return _record(metric).of_pair(pair)
        variant, measure = metric.split("_", 1)
        if variant in ("max", "mean"):
            return _extreme(variant, curves[measure])
        return float(MEASURES[measure](pair.adaptive if variant == "adaptive" else pair.binary))

    def _of_set(self, metric: str) -> float:
        variant, _, measure = metric.partition("_")
        if metric == "max_f" and self.protocol == "dis":
            return dis.best_f(self._sums["precision, recall"] / self.count, offset=1e-8)
        if metric in CURVES and variant == "overall":
            return float(MEASURES[measure](Confusion(*self._sums["overall"])))
        if metric in CURVES and variant in ("max", "mean"):
            return _extreme(variant, self._sums[measure] / self.count)
        defined = [row[metric] for row in self._rows if not isnan(row[metric])]
        return fsum(defined) / len(defined) if defined else nan

    def _add(self, curves: dict[str, NDArray[Any]]) -> None:
        for key, curve in curves.items():
            self._sums[key] = self._sums[key] + curve if key in self._sums else curve


def _dis_of_image(metric: str, pair: Pair, curves: dict[str, NDArray[Any]]) -> float:
    if metric == "hce":
        return hce(*cut_above_128(pair.prediction, pair.foreground), skeleton=pair.skeleton).total
    return dis.grey_error(pair) if metric == "mae" else dis.best_f(curves["precision, recall"], offset=1e-4)


def _extreme(variant: str, curve: NDArray[np.float64]) -> float:
    return float(curve.max() if variant == "max" else curve.mean())


def _record(name: str) -> Metric:
    record = record_of(name)
    if record is None:  # of a plugin that this process does not have
        raise unknown(f"metric {name!r}", name, list_components("metrics"), listed="installed")
    return record


def _expanded(metrics: Sequence[str], protocol: str) -> tuple[str, ...]:
    """Expand names and groups to metrics, each once."""
    choice("protocol", protocol, PROTOCOLS)
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a sequence of names; got {metrics!r}; write ({metrics!r},)")
    known = PROTOCOLS[protocol]
    expanded: list[str] = []
    for name in metrics:
        plugins: list[str] = []
        if name not in known and name not in GROUPS and protocol == "pysodmetrics":
            plugins = list_components("metrics")
        if name not in (*known, *GROUPS, *plugins):
            raise unknown(f"metric {name!r} in protocol {protocol!r}", name, (*known, *plugins, *GROUPS))
        expanded += [one for one in GROUPS.get(name, (name,)) if one in known or one in plugins]
    if not expanded:
        raise ValueError(f"metrics must name at least one that protocol {protocol!r} has: {', '.join(known)}")
    return tuple(dict.fromkeys(expanded))
