"""Scoring of a model on a data set."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import Model, Sample, Samples, length, unwrapped
from ..data.layouts import samples_of
from ..inference.predictor import Predictor, to_uint8
from ..metrics.evaluator import Evaluator
from ..runtime.overlap import overlapped
from ..runtime.progress import tracked
from ..visualize.samples import sample_at
from .worst import Scores

logger = logging.getLogger(__name__)

_Scored: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[Any] | None, str]
"""Prediction, mask, weight and name."""
THREADS = 2
"""Number of threads that read and score, and so of the samples that wait before and after the network."""


def evaluate(
    model: Model, dataset: Samples | str | Path, *, metrics: Sequence[str] = ("paper",), progress: bool = False
) -> Scores:
    """Score a model on a data set, at the masks' native size, with the metrics that papers report.

    Each prediction is rounded to 8 bits first, as `dichoseg predict` writes it, so that scoring the written files
    gives the same values.

    Args:
        model: Model to score.
        dataset: Samples, or plain (image, mask) pairs: (3, H, W) and (1, H, W) in [0, 1]; or a folder, in a layout that
            `open_folders` knows, of which the validation set is scored, if it has one.
        metrics: Names and groups of metrics, as in `dichoseg.metrics.Evaluator`, which defines them; `("fast",)` leaves
            out `weighted_f` and `hce`, which are slow.
        progress: Whether to show the progress: a bar on a terminal or in a notebook, else a line from time to time.

    Returns:
        Value of each metric, by default `mae`, `max_f`, `mean_f`, `adaptive_f`, `s_measure`, `max_e`, `mean_e`,
        `adaptive_e`, `weighted_f` and `hce`; its `images` are those of each image.
    """
    data = samples_of(dataset)
    samples = length(data)
    if samples == 0:
        raise ValueError("the data set holds no samples to score")
    warn_of_seen_test_sets(model)
    predictor = Predictor(model, precision="float32")
    total = Evaluator(metrics=metrics)
    scored: dict[int, Evaluator] = {}
    reading = threading.Lock()  # a data set need not be thread-safe

    def read(index: int) -> tuple[Tensor, Sample]:
        with reading:
            sample = sample_at(data, index)
        return model.preprocessing.input_of(sample.image, sample.mask), sample

    def compute(read: tuple[Tensor, Sample]) -> _Scored:
        net_input, sample = read
        inside = (sample.mask[0] > 128 / 255).numpy()
        weight = None if sample.weight is None else sample.weight[0].numpy()
        return to_uint8(predictor(net_input)), inside, weight, sample.name

    def score(index: int, result: _Scored) -> None:
        prediction, mask, weight, name = result
        scored[index] = Evaluator(metrics=total.metrics)
        scored[index].update(prediction, mask, name=name, weight=weight)

    steps = overlapped(range(samples), read, compute, score, threads=THREADS)
    with contextlib.closing(steps):
        for index, error in tracked(steps, "evaluate", samples, shown=progress, unit="images"):
            if error is not None:
                error.add_note(f"in sample {index} of the data set")
                raise error
            total.merge(scored.pop(index))  # in order, so that sums round in the same way
    return Scores(total)


def warn_of_seen_test_sets(model: Model) -> None:
    """Warn if the model's published weights were trained on images of the usual test sets."""
    origin = unwrapped(model).origin
    if origin is not None and origin.seen_test_sets:
        logger.warning(
            "%s was trained on images of %s: its scores there do not count", origin.name, origin.seen_test_sets
        )
