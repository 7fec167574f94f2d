"""Files that `fit` writes: plan, state, weights, history, curves and contact sheets."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from PIL import Image as PillowImage
from safetensors.torch import load_file
from torch import Tensor

from ..contracts import Image, Mask, Model, Samples, length
from ..evaluation.worst import prediction_sheet, save_sheet, write_table
from ..runtime.files import write_atomically, write_json, write_state
from ..runtime.locks import alone
from ..untrusted import UnusableFileError, reading
from ..visualize import learning_curves
from ..visualize.samples import spread
from ..weights.card import ModelCard
from ..weights.format import WEIGHTS_FILE
from ..weights.saving import save_model
from .rows import RUN, VALIDATION, Row, grouped

logger = logging.getLogger(__name__)

FORMAT_VERSION = 4
"""Format of `plan.json` and `state.pt`."""
GT_ENCODER = "gt_encoder"
"""Subfolder in which `fit_gt_encoder` keeps its network; it may exist before the run starts."""
PLAN = "plan.json"
"""File with the settings of the run; it may exist before the run starts."""
STATE = "state.pt"
"""File from which `fit(resume=True)` continues."""
BROKEN = "broken_batch.pt"
"""File with the batch whose loss was not finite."""
TENSORBOARD = "tensorboard"
"""Subfolder in which `dichoseg train` writes files for TensorBoard."""


@final
class RunFolder:
    """Folder of one run.

    - `plan.json`: settings of the run, and the options of `dichoseg train`.
    - `last/`, `best/`: models with a card, as `save_model` writes them; `best/` only with validation data.
    - `base/`: the model that training started from, if it is scored.
    - `history.csv`: one row per epoch.
    - `curves.png`: the history as curves.
    - `sheets/epoch_0001.jpg`, ...: image, mask, prediction and errors of the same validation images; only with
      validation data.
    - `state.pt`: state from which `fit(resume=True)` continues.
    - `broken_batch.pt`: after a loss that is not finite, the batch's `image` (the model's input), `mask`, `names`,
      `epoch` and `step`, for `torch.load`.
    - `.lock`: while a process uses the folder, which that is; after a kill, it stays and means nothing.

    Args:
        path: Folder that is new, empty, or holds only what precedes a run, such as a GT encoder.
        resume: Whether the folder may hold a run and other files.

    Raises:
        FileExistsError: The folder holds something else.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{self.path} is a file; wanted a new folder for this run")
        held = sorted(item.name for item in self.path.iterdir()) if self.path.exists() else []
        foreign = [name for name in held if name not in (GT_ENCODER, PLAN, BROKEN) and not name.startswith(".")]
        if foreign and not resume:
            raise FileExistsError(
                f"{self.path} already holds something ({foreign[0]}); wanted a new folder for this run"
            )

    @contextmanager
    def alone(self, *, resume: bool) -> Iterator[None]:
        """Hold the folder against other processes inside the block.

        Raises:
            FileExistsError: Another process holds it (the message says which), or has written a run there meanwhile.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with alone(self.path):
            RunFolder(self.path, resume=resume)
            yield

    def remove_leftovers(self) -> None:
        """Remove partial files of a process that was killed while it wrote."""
        for path in self.path.rglob(".*"):
            if re.fullmatch(r"\.[0-9a-f]{12}", path.name) and path.is_file():
                path.unlink()

    def read_plan(self) -> dict[str, Any]:
        """Return the content of `plan.json`, or an empty dict if the run has not started.

        Raises:
            ValueError: The file cannot be read, or is of another version.
        """
        path = self.path / PLAN
        if not path.exists() and not (self.path / STATE).exists():
            return {}
        try:
            plan = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            version = plan.get("format_version", "3 or older")
        except (ValueError, AttributeError, RecursionError) as error:
            raise UnusableFileError(f"{path} cannot be read: {error}") from error
        if version != FORMAT_VERSION:
            raise ValueError(
                f"{self.path} holds a run of format {version}, and this version of dichoseg resumes format "
                f"{FORMAT_VERSION}. Resume it with the version that wrote it, or train from its weights elsewhere"
            )
        return dict(plan)

    def update_plan(self, **content: Any) -> None:
        """Write items of `plan.json`, keeping the others."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / PLAN, {"format_version": FORMAT_VERSION} | self.read_plan() | content)

    def can_resume(self) -> bool:
        """Return whether there is a state to resume from; raise a ValueError if that of a run with epochs is missing.

        The files of the first epoch may have been written without its state, which comes last.
        """
        history = self.path / "history.csv"
        if (self.path / STATE).exists():
            return True
        if history.exists() and len(history.read_text(encoding="utf-8").splitlines()) > 2:
            raise ValueError(
                f"{self.path} holds a run without {STATE}, so it cannot be resumed; start a new run from its weights"
            )
        return False

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Raise a ValueError if the settings of the run that is resumed were others."""
        before = self.read_plan().get("settings", {})
        for name, value in settings.items():
            if before.get(name) != value:
                raise ValueError(
                    f"{self.path} cannot be resumed: {name} was {before.get(name)}, and is {value} now. A resumed run "
                    "is the same run; to continue from its weights, start another one"
                )

    def weights(self, name: str) -> dict[str, Tensor]:
        """Return the weights in `best/` or `base/`."""
        path = self.path / name / WEIGHTS_FILE
        if not path.exists():
            raise FileNotFoundError(f"{self.path / name} is missing, without which the run cannot be resumed")
        with reading(path):
            return load_file(path)

    def write_broken_batch(self, image: Image, mask: Mask, names: Sequence[str], epoch: int, step: int) -> Path:
        """Write a batch for inspection; return the file's path."""
        batch = {"image": image.cpu(), "mask": mask.cpu(), "names": list(names), "epoch": epoch, "step": step}
        write_state(self.path / BROKEN, batch)
        return self.path / BROKEN

    def write(
        self, model: Model, history: Sequence[Row], *, improved: bool, train_data: Samples, val_data: Samples | None
    ) -> None:
        """Write the files of an epoch, each completely or not at all."""
        card = _with_scores(training_card(train_data, history), history[-1], val_data)
        save_model(model, self.path / "last", card=card)
        if improved:
            save_model(model, self.path / "best", card=card)
        write_table(self.path / "history.csv", history)
        write_atomically(self.path / "curves.png", functools.partial(learning_curves(history).save, format="PNG"))
        if val_data is not None:
            self._write_sheet(model, val_data, epoch=int(history[-1]["epoch"]))

    def write_base(self, model: Model) -> None:
        """Write the model that training starts from."""
        save_model(model, self.path / "base", card=ModelCard(notes="The weights from which the run started."))

    def write_average(
        self, model: Model, history: Sequence[Row], average: Row, *, train_data: Samples, val_data: Samples | None
    ) -> None:
        """Write an average with the base, whose row is given too, as the best model."""
        card = training_card(train_data, history, base_share=average["base_share"])
        card = _with_scores(card, average, val_data)
        save_model(model, self.path / "best", card=card)

    def _write_sheet(self, model: Model, val_data: Samples, *, epoch: int) -> None:
        """Write the contact sheet of an epoch; one that cannot be drawn is a warning and stops no training."""
        path = self.path / "sheets" / f"epoch_{epoch:04d}.jpg"
        try:
            path.parent.mkdir(exist_ok=True)
            sheet = validation_sheet(model, val_data)
            save_sheet(path, sheet)
        except Exception as error:
            logger.warning("%s cannot be drawn, and training continues: %s", path, error)


def training_card(train_data: Samples, history: Sequence[Row], *, base_share: float = 0.0) -> ModelCard:
    """Return the part of a model card that describes the training so far.

    Args:
        train_data: Training set.
        history: Rows of the epochs.
        base_share: Share of the base in the weights, if they are an average.
    """
    terms = [name for name in grouped(history[-1]) if name not in ("epoch", "loss", *RUN)]
    terms = [name for name in terms if not name.startswith(VALIDATION)]
    last = int(history[-1]["epoch"])
    if last == 0 and not base_share:
        return ModelCard(notes="The weights from which the run started.")
    epochs = "1 epoch" if last == 1 else f"{last} epochs"
    average = f" The weights are averages: {base_share:.0%} base, {1 - base_share:.0%} trained." if base_share else ""
    return ModelCard(
        data=f"{length(train_data)} images with masks, {epochs}.",
        notes=f"Terms of the loss: {', '.join(f'`{name}`' for name in terms)}.{average}",
    )


def _with_scores(card: ModelCard, row: Row, val_data: Samples | None) -> ModelCard:
    """Return a card with the scores in a row, if there is validation data."""
    if val_data is None:
        return card
    scores = {name: value for name, value in row.items() if name.startswith("quick_")}
    on = f"{length(val_data)} validation images, by quick metrics that do not compare with papers'"
    return dataclasses.replace(card, scores=scores, evaluated_on=on)


def validation_sheet(model: Model, data: Samples, *, rows: int = 10) -> PillowImage.Image:
    """Draw a model's predictions for images that are evenly spread over a data set, always the same ones.

    Args:
        model: Any model; it is not changed.
        data: Samples or plain pairs.
        rows: Maximum number of images.
    """
    return prediction_sheet(model, data, spread(range(length(data)), rows))
