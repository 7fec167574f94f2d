"""Scoring of a model on a data set."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import Model, Samples, length
from ..inference.predictor import Predictor, to_uint8
from ..metrics.evaluator import Evaluator
from ..runtime.overlap import overlapped
from ..runtime.progress import tracked

THREADS = 2
"""Number of threads that read and score, and so of the samples that wait before and after the network."""


def evaluate(
    model: Model, dataset: Samples, *, metrics: Sequence[str] = ("paper",), progress: bool = False
) -> dict[str, float]:
    """Score a model on a data set, at the masks' native size, with the metrics that papers report.

    Each prediction is rounded to 8 bits first, as `dichoseg predict` writes it, so that scoring the written files
    gives the same values.

    Args:
        model: Model to score.
        dataset: Samples, or plain (image, mask) pairs: (3, H, W) and (1, H, W) in [0, 1].
        metrics: Names and groups of metrics, as in `dichoseg.metrics.Evaluator`, which defines them; `("fast",)` leaves
            out `weighted_f` and `hce`, which are slow.
        progress: Whether to show the progress: a bar on a terminal or in a notebook, else a line from time to time.

    Returns:
        Value of each metric, by default `mae`, `max_f`, `mean_f`, `adaptive_f`, `s_measure`, `max_e`, `mean_e`,
        `adaptive_e`, `weighted_f` and `hce`.
    """
    samples = length(dataset)
    if samples == 0:
        raise ValueError("the data set holds no samples to score")
    predictor = Predictor(model, precision="float32")
    total = Evaluator(metrics=metrics)
    scored: dict[int, Evaluator] = {}
    reading = threading.Lock()  # a data set need not be thread-safe

    def read(index: int) -> tuple[Tensor, Tensor]:
        with reading:
            image, mask, *_ = dataset[index]
        return model.preprocessing.input_of(image, mask), mask

    def compute(sample: tuple[Tensor, Tensor]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        net_input, mask = sample
        return to_uint8(predictor(net_input)), (mask[0] > 128 / 255).numpy()

    def score(index: int, pair: tuple[NDArray[np.uint8], NDArray[np.bool_]]) -> None:
        scored[index] = Evaluator(metrics=total.metrics)
        scored[index].update(*pair)

    steps = overlapped(range(samples), read, compute, score, threads=THREADS)
    with contextlib.closing(steps):
        for index, error in tracked(steps, "evaluate", samples, shown=progress, unit="images"):
            if error is not None:
                error.add_note(f"in sample {index} of the data set")
                raise error
            total.merge(scored.pop(index))  # in order, so that sums round in the same way
    return total.compute()
