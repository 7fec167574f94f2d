"""Rules that derive a recipe for fine-tuning from data, network and memory.

`docs/explanation/evidence.md` has the measurements behind them.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import torch

from ..batch_norm import live_batch_norms
from ..contracts import Model
from ..data import DataReport
from ..registry import list_components
from ..tracing import predicts_edges
from ..training.optimization import Base
from .fitting import FittingOption, fitting_options
from .recipe import Recipe

SOFT = 0.2
"""Fraction of soft masks from which on a loss compares levels."""
PASSES = 3200
"""Number of images that a run sees, repetitions included, within the bounds of the epochs."""
EPOCHS = (3, 10)
"""Fewest and most epochs."""
IMAGES_PER_STEP = 4
MANY_STEPS = 200
"""Number of steps from which on weights are averaged over steps."""
AVERAGED = 0.4
"""Fraction of all steps that the moving average reaches back."""
LONGEST = 1000
"""Number of steps that it reaches back at most."""
FEW = 100
"""Number of pairs below which a fifth of them, not a tenth, is held back for validation."""
FEW_SCORED = 30
"""Number of validation images from which on they choose among averages with the base."""


class Proposed(NamedTuple):
    """A recipe, the reason for each of its values by name, and how it fits into the memory."""

    recipe: Recipe
    reasons: dict[str, str]
    fit: FittingOption


def recipe_for(
    model: Model, report: DataReport, *, validation: int, memory_gb: float, device: str | torch.device | None = None
) -> Proposed:
    """Derive a recipe.

    Args:
        model: Model with the weights to start from.
        report: Report on the training set.
        validation: Number of pairs in the validation set; 0 if there is none.
        memory_gb: Memory for training in GB of 1e9 bytes.
        device: Device to train on. Default: that of `fit`.

    Raises:
        ValueError: Nothing fits into the memory.
    """
    reasons: dict[str, str] = {}
    pairs = report.pairs - len(report.unusable)
    fraction = None if validation else 0.1 if pairs >= FEW else 0.2
    reasons["val_fraction"] = "there is a validation set" if validation else f"{pairs} pairs, and no validation set"
    size = max(model.preprocessing.height_width or (1024,))
    reasons["size"] = "the network's own; a smaller one loses what it knows"
    loss, objective, reasons["loss"] = _loss(model, report)
    frozen = bool(live_batch_norms(model))
    reasons["freeze_batch_norm"] = "statistics of small batches are poor" if frozen else "the network has no live one"
    reasons["learning_rate"] = "small, since the weights are good; falls along a cosine"
    reasons["augmentation"] = "flips; turning upright photographs costs more than it brings"
    draft = Recipe(
        size=size, batch_size=IMAGES_PER_STEP, accumulate=1, epochs=EPOCHS[1], learning_rate=3e-5,
        loss=loss, objective=objective, augmentation=("isnet",), ema=None,
        freeze_batch_norm=frozen, freeze_encoder=False, checkpoint_activations=False, val_fraction=fraction,
        base="average",
    )  # fmt: skip
    held_back = draft.held_back(pairs)
    base, reasons["base"] = _base(validation or held_back)
    training = pairs - held_back
    draft = dataclasses.replace(draft, batch_size=min(IMAGES_PER_STEP, training), base=base)
    draft, of_epochs = with_epochs(draft, min(max(round(PASSES / training), EPOCHS[0]), EPOCHS[1]), training)
    return _fitted(model, draft, reasons | of_epochs, memory_gb, device)


def with_epochs(recipe: Recipe, epochs: int, training: int) -> tuple[Recipe, dict[str, str]]:
    """Return a recipe with a number of epochs and the moving average that suits it, and the reasons.

    Args:
        recipe: Recipe to change.
        epochs: Number of epochs.
        training: Number of pairs to train on.
    """
    ema, reason = _moving_average(math.ceil(training / IMAGES_PER_STEP) * epochs)
    reasons = {"epochs": f"{epochs * training} images seen, repetitions included", "ema": reason}
    return dataclasses.replace(recipe, epochs=epochs, ema=ema), reasons


def _moving_average(steps: int) -> tuple[float | None, str]:
    """Return the decay of the moving average of the weights, and why."""
    if steps < MANY_STEPS:
        return None, f"{steps} steps are too few to average over"
    reach = min(AVERAGED * steps, LONGEST)
    return round(1 - 1 / reach, 3), f"averages over about {reach:.0f} of {steps} steps"


def _base(validation: int) -> tuple[Base, str]:
    """Return the use of the weights that training starts from."""
    if validation < FEW_SCORED:
        return "half", f"{validation} validation images are too few to choose among averages with the base"
    return "average", "the best average with the base is used, if it is better"


def _loss(model: Model, report: DataReport) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the losses, the objectives and why."""
    name = str((model.recipe or {}).get("name", "")).removesuffix("_lite")
    if name in list_components("objectives"):
        return (), (name,), "the network's own, as published"
    edges = ("edge_supervision",) if predicts_edges(model) else ()
    soft = sum(problem.kind == "soft mask" for problem in report.problems)
    if soft > SOFT * report.pairs:
        return ("bce", "mae"), edges, f"{soft} of {report.pairs} masks are soft, whose levels mae compares"
    return ("bce", "iou"), edges, "pixels and regions; masks have hard edges"


def _fitted(
    model: Model, draft: Recipe, reasons: dict[str, str], memory_gb: float, device: str | torch.device | None
) -> Proposed:
    """Choose the way to train that fits into the memory."""
    arguments = draft.arguments()
    option = fitting_options(
        model,
        memory_gb,
        batch_size=draft.batch_size,
        size=draft.size,
        objective=arguments["objective"],
        optimization=arguments["optimization"],
        freeze_batch_norm=draft.freeze_batch_norm,
        base=arguments["base"],
        device=device,
    )[0]
    recipe = dataclasses.replace(
        draft,
        batch_size=option.batch_size,
        accumulate=option.accumulate,
        checkpoint_activations=option.recompute,
        freeze_encoder=option.freeze_encoder,
    )
    fits = f"{option.forecast.total:.1f} of {memory_gb:.1f} GB"
    reasons |= {"batch_size": fits, "accumulate": f"{IMAGES_PER_STEP} images per step"}
    reasons |= {"checkpoint_activations": "to save memory" if option.recompute else "not needed"}
    reasons |= {"freeze_encoder": "to save memory" if option.freeze_encoder else "not needed"}
    return Proposed(recipe, reasons, option)
