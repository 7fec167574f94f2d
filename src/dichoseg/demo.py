"""Demo: train a small IS-Net on synthetic scenes, within minutes, on any machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .evaluation.scoring import evaluate
from .inference.predictor import Predictor, to_uint8
from .losses.edge import EdgeBCELoss
from .losses.pixel import BCELoss
from .metrics.evaluator import Evaluator
from .objectives.deep import DeepSupervision
from .objectives.weighted_sum import WeightedSum
from .runtime.files import write_json
from .scenes.synthetic import SyntheticDataset
from .training import fit
from .training.optimization import Optimization
from .training.run_folder import RunFolder
from .visualize import contact_sheet
from .weights.loading import create_model

SMALL_ISNET = {
    "channels": (32, 32, 64, 64, 64),
    "mid_channels": (12, 12, 24, 24, 32),
    "strides": (2, 4, 8, 16, 32),
    "stem_channels": 32,
}


def run_demo(
    out: str | Path = "demo",
    *,
    epochs: int = 5,
    scenes: int = 640,
    size: int = 112,
    held_out: int = 48,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, dict[str, float]]:
    """Train a small IS-Net on `SyntheticDataset` and compare it with constant baselines.

    Writes `scores.json`, `contact_sheet.png` (image, mask, before, after, on held-out scenes) and the run itself
    below `out`.

    Args:
        out: New folder for the results.
        epochs: Number of passes over the training scenes.
        scenes: Number of training scenes.
        size: Side of the scenes and of the network's input, in pixels.
        held_out: Number of scenes to score on, never trained on.
        seed: Seed of weights, scenes and training.
        progress: Whether to show the progress, as `fit` does.

    Returns:
        Scores on the held-out scenes of `before`, `after`, `center prior` and `all black`.

    Raises:
        FileExistsError: `out` is not empty.
        RuntimeError: The trained network does not beat both baselines, `center prior` and `all black`.
    """
    out = RunFolder(out).path  # raises if it is not empty
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = create_model("isnet", encoder_args=SMALL_ISNET, size=size)
    test_data = SyntheticDataset(held_out, size=size, seed=seed + 1)
    rivals = {"center prior": _score_constant(test_data, _center_prior(size))}
    rivals["all black"] = _score_constant(test_data, np.zeros((size, size), np.float32))
    scores: dict[str, dict[str, float]] = {"before": evaluate(model, test_data)}
    before = Predictor(model)
    objective = WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(0.5, DeepSupervision(EdgeBCELoss())))
    fit(
        model,
        SyntheticDataset(scenes, size=size, seed=seed),
        objective=objective,
        epochs=epochs,
        batch_size=8,
        optimization=Optimization(learning_rate=3e-3),
        workers=1,
        seed=seed,
        out=out / "run",
        progress=progress,
    )
    scores |= {"after": evaluate(model, test_data), **rivals}
    _write_sheet(out / "contact_sheet.png", test_data, before, Predictor(model))
    write_json(out / "scores.json", scores)
    for rival in ("center prior", "all black"):
        if scores["after"]["max_f"] <= scores[rival]["max_f"] or scores["after"]["mae"] >= scores[rival]["mae"]:
            raise RuntimeError(f"the trained network does not beat the {rival}: {scores['after']}, {scores[rival]}")
    return scores


def _center_prior(size: int) -> NDArray[np.float32]:
    place = np.linspace(-1, 1, size, dtype=np.float32)
    return np.exp(-2 * (place[:, None] ** 2 + place[None, :] ** 2)).astype(np.float32)


def _score_constant(data: SyntheticDataset, prediction: NDArray[np.float32]) -> dict[str, float]:
    evaluator = Evaluator()
    for index in range(len(data)):
        evaluator.update(to_uint8(prediction), (data[index].mask[0] > 0.5).numpy())
    return evaluator.compute()


def _write_sheet(path: Path, data: SyntheticDataset, before: Predictor, after: Predictor, *, rows: int = 5) -> None:
    sheet = []
    for index in range(min(rows, len(data))):
        image, mask, _ = data[index]
        sheet.append(
            {
                "image": image.permute(1, 2, 0).numpy(),
                "mask": mask[0].numpy(),
                "before": before(image),
                "after": after(image),
            }
        )
    contact_sheet(sheet).save(path)
