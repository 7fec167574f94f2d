"""Values of a proposed run, and the objects built from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..augmentations.compose import make_augmentation
from ..batch_norm import freeze_batch_norm, live_batch_norms
from ..contracts import Model, Objective
from ..objectives import DeepSupervision, WeightedSum
from ..registry import make_component
from ..training import Optimization, checkpoint_activations
from ..training.optimization import Base
from ..training.parameters import encoder_of, freeze


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Values of a run, named as the options of `dichoseg train`."""

    size: int
    batch_size: int
    accumulate: int
    epochs: int
    learning_rate: float
    loss: tuple[str, ...]
    objective: tuple[str, ...]
    augmentation: tuple[str, ...]
    ema: float | None
    freeze_batch_norm: bool
    freeze_encoder: bool
    checkpoint_activations: bool
    val_fraction: float | None
    base: Base

    def __post_init__(self) -> None:
        """Make tuples of the lists in a file."""
        for name in ("loss", "objective", "augmentation"):
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be a list of names; got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def held_back(self, pairs: int) -> int:
        """Return how many of the pairs for training are held back for validation."""
        return 0 if self.val_fraction is None else max(1, round(self.val_fraction * pairs))

    def prepare(self, model: Model) -> Model:
        """Freeze parts of a model and set recomputation, as the recipe says; return the model, changed in place."""
        if self.freeze_batch_norm and live_batch_norms(model):
            freeze_batch_norm(model)
        if self.freeze_encoder:
            freeze(encoder_of(model))
        if self.checkpoint_activations:
            checkpoint_activations(model)
        return model

    def make_objective(self) -> Objective:
        """Return the sum of losses and objectives."""
        losses = {name: (1.0, DeepSupervision(make_component("losses", name))) for name in self.loss}
        return WeightedSum(**losses, **{name: (1.0, make_component("objectives", name)) for name in self.objective})

    def arguments(self) -> dict[str, Any]:
        """Return arguments of `fit`, without model and data."""
        optimization = Optimization(
            learning_rate=self.learning_rate,
            accumulate=self.accumulate,
            ema=self.ema,
        )
        return {
            "objective": self.make_objective(),
            "augmentation": make_augmentation(self.augmentation),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "optimization": optimization,
            "base": self.base,
        }
