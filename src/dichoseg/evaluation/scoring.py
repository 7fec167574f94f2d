"""Scoring of a model on a data set."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from ..contracts import Model, Samples, length
from ..inference.predictor import Predictor, to_uint8
from ..metrics.evaluator import Evaluator


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
        progress: Whether to show a progress bar on a terminal.

    Returns:
        Value of each metric, by default `mae`, `max_f`, `mean_f`, `adaptive_f`, `s_measure`, `max_e`, `mean_e`,
        `adaptive_e`, `weighted_f` and `hce`.

    Raises:
        ValueError: The data set is empty.
    """
    samples = length(dataset)
    if samples == 0:
        raise ValueError("the data set holds no samples to score")
    predictor = Predictor(model, precision="float32")
    takes_mask = model.preprocessing.source == "mask"
    evaluator = Evaluator(metrics=metrics)
    for index in tqdm(range(samples), desc="evaluate", leave=False, disable=None if progress else True):
        image, mask, *_ = dataset[index]
        probability = predictor(mask if takes_mask else image)
        evaluator.update(to_uint8(probability), (mask[0] > 128 / 255).numpy())
    return evaluator.compute()
