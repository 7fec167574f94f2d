"""Curves: a run's history, and metrics over thresholds."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(history: Sequence[Mapping[str, float]]) -> PillowImage.Image:
    """Draw the history that `fit` returns: the loss and its parts, and the validation scores, over the epochs.

    Args:
        history: Rows with `epoch`, `loss` and, with validation data, `val_loss` and `quick_...`.
    """
    if not history:
        raise ValueError("learning curves need a history of at least one epoch; got none")
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    keys = dict.fromkeys(name for row in history for name in row)
    scores = [name for name in keys if name.startswith("quick_")]
    figure = Figure(figsize=(10 if scores else 5, 3.8), dpi=120, layout="constrained")
    axes = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    epochs = [row["epoch"] for row in history]
    parts = _loss_parts(history, keys)
    shown = filter(keys.__contains__, ("loss", "val_loss"))
    lines: dict[str, list[float]] = {name: _column(history, name) for name in shown}
    for name, values in lines.items():
        axes[0].plot(epochs, values, marker="o", markersize=3, linewidth=2, label=name)
    for name, values in parts.items() if len(parts) > 1 else ():
        axes[0].plot(epochs, values, marker=".", markersize=4, linewidth=1, linestyle="--", label=name)
    axes[0].set_title("loss and its parts" if len(parts) > 1 else "loss")
    drawn = np.array([*lines.values(), *parts.values()])
    if np.nanmin(drawn) > 0 and np.nanmax(drawn) > 4 * np.nanmin(drawn):
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[0].yaxis.set_major_formatter("{x:g}")
        axes[0].yaxis.set_minor_locator(NullLocator())
    for name in scores:
        axes[-1].plot(epochs, _column(history, name), marker="o", markersize=3, linewidth=2, label=name)
    if scores:
        axes[-1].set_title("validation, at the network's size")
        values = [value for name in scores for value in _column(history, name) if not math.isnan(value)]
        if max(values, default=0) <= 1:
            axes[-1].set_ylim(0, 1)
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
    return _render(figure)


def metric_curves(curves: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> PillowImage.Image:
    """Draw F over the thresholds, and precision over recall if given, one line per set of predictions.

    Args:
        curves: Label of a line -> measure (`f`, `precision`, `recall`) -> 256 values, index i at gray level 255 - i, as
            `Evaluator.curves` returns them.
    """
    from matplotlib.figure import Figure

    with_precision = all({"precision", "recall"} <= set(measured) for measured in curves.values())
    figure = Figure(figsize=(10 if with_precision else 5, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots(1, 2 if with_precision else 1, squeeze=False)[0]
    levels = np.arange(255, -1, -1)
    for name, measured in curves.items():
        values = measured["f"]
        best = int(values.argmax())
        (line,) = axes[0].plot(levels, values, label=f"{name}: {values[best]:.3f} at {levels[best]}")
        axes[0].plot(levels[best], values[best], marker="o", color=line.get_color())
        if with_precision:
            axes[1].plot(measured["recall"], measured["precision"], label=name)
    axes[0].set(xlabel="threshold (gray level)", ylabel="F", xlim=(0, 255), ylim=(0, 1), title="F-measure")
    if with_precision:
        axes[1].set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), title="precision and recall")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    return _render(figure)


def _render(figure: Figure) -> PillowImage.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return PillowImage.open(buffer).convert("RGB")


def _column(history: Sequence[Mapping[str, float]], name: str) -> list[float]:
    """Return a key's values over the epochs, NaN for rows without it, such as the loss in epoch 0."""
    return [row.get(name, math.nan) for row in history]


def _loss_parts(history: Sequence[Mapping[str, float]], keys: Iterable[str]) -> dict[str, list[float]]:
    """Return the sums of the terms named `part/term`, by part."""
    parts: dict[str, list[float]] = {}
    for name in keys:
        part, slash, _ = name.partition("/")
        if slash:
            values = parts.setdefault(part, [0.0] * len(history))
            parts[part] = [value + more for value, more in zip(values, _column(history, name), strict=True)]
    return parts
