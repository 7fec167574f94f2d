"""What `fit` writes: weights, history, curves, and a contact sheet of the same images after each epoch."""

from __future__ import annotations

import csv
import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from PIL import Image as PillowImage
from safetensors.torch import load_file
from torch import Tensor

from ..contracts import Image, Mask, Model, Samples, length
from ..inference.predictor import Predictor
from ..runtime.files import write_atomically, write_state
from ..runtime.seeding import seeded
from ..visualize import contact_sheet, error_map, learning_curves, thumbnail
from ..weights.card import ModelCard
from ..weights.format import WEIGHTS_FILE
from ..weights.saving import save_model
from .checks import grouped

Row = dict[str, float]
"""One epoch: `epoch`, `loss`, each term by its name; with validation data `val_loss` and the validation scores; and
what `BOOKKEEPING` names."""
BOOKKEEPING = ("learning_rate", "images_per_second", "busy", "memory_gb", "seconds")
"""The first parameter group's learning rate at the epoch's start, images per second in training, the share of that time
spent in forward pass, backward pass and the optimiser's step, the most memory used so far in GB (of a GPU, what torch
had allocated), and the epoch's seconds with validation."""

GT_ENCODER = "gt_encoder"
"""Subfolder in which `fit_gt_encoder` keeps its network; a run's folder may hold it before the run starts."""
COMMAND = "command.json"
"""File in which `dichoseg train` keeps what it was started with."""
STATE = "state.pt"
"""File that holds what `fit(resume=True)` needs."""
BROKEN = "broken_batch.pt"
"""File that holds the batch whose loss was not finite."""
TENSORBOARD = "tensorboard"
"""Subfolder for TensorBoard's files, where `dichoseg train` writes them."""
OWN = ("best", BROKEN, "curves.png", "history.csv", "last", "scores.json", "sheets", STATE, TENSORBOARD)
"""What else a run's folder holds."""


@final
class RunFolder:
    """The folder of one run.

    Without validation data there is no `best/` and no `sheets/`.

    - `last/`, `best/`: models, as `save_model` writes them, with a card; `best/` only with validation data.
    - `history.csv`: one row per epoch.
    - `curves.png`: the history as curves.
    - `sheets/epoch_0001.jpg`, ...: image, mask, prediction and errors of the same validation images.
    - `state.pt`: what `fit(resume=True)` needs to go on.
    - `broken_batch.pt`: where training has stopped at a loss that is not finite, the batch's `image` and `mask`, as
      the model got them, and its `names`, `epoch` and `step`, for `torch.load`.

    Args:
        path: A folder that is new, empty, or holds at most a GT encoder and the command.
        resume: It may hold a run, which goes on.

    Raises:
        FileExistsError: It holds something else.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(f"{self.path} is a file; wanted a new folder for this run")
        held = sorted(item.name for item in self.path.iterdir()) if self.path.exists() else []
        held = [name for name in held if not name.startswith(".")]  # such as .DS_Store
        foreign = [name for name in held if name not in {GT_ENCODER, COMMAND, *(OWN if resume else ())}]
        if foreign:
            wanted = "the run's own files alone" if resume else "a new folder for this run"
            raise FileExistsError(f"{self.path} already holds something ({foreign[0]}); wanted {wanted}")

    def tidy(self) -> None:
        """Remove what a process that was killed while it wrote has left behind."""
        for path in self.path.rglob(".*"):
            if re.fullmatch(r"\.[0-9a-f]{12}", path.name) and path.is_file():
                path.unlink()

    def best_state(self) -> dict[str, Tensor]:
        """The weights in `best/`."""
        if not (self.path / "best" / WEIGHTS_FILE).exists():
            raise FileNotFoundError(f"{self.path / 'best'} is not there any more, without which the run cannot go on")
        return load_file(self.path / "best" / WEIGHTS_FILE)

    def write_history(self, history: Sequence[Row]) -> None:
        """Write the rows so far."""
        write_atomically(self.path / "history.csv", functools.partial(_write_history, history=history))

    def write_broken_batch(self, image: Image, mask: Mask, names: Sequence[str], epoch: int, step: int) -> Path:
        """Keep a batch for inspection; the file's path."""
        batch = {"image": image.cpu(), "mask": mask.cpu(), "names": list(names), "epoch": epoch, "step": step}
        write_state(self.path / BROKEN, batch)
        return self.path / BROKEN

    def write(
        self, model: Model, history: Sequence[Row], *, improved: bool, train_data: Samples, val_data: Samples | None
    ) -> None:
        """Write what an epoch has brought, each file whole or not at all."""
        card = training_card(train_data, history)
        if val_data is not None:
            scores = {name: value for name, value in history[-1].items() if name.startswith("quick_")}
            on = f"{length(val_data)} validation images, by quick metrics that do not compare with papers'"
            card = dataclasses.replace(card, scores=scores, evaluated_on=on)
        save_model(model, self.path / "last", card=card)
        if improved:
            save_model(model, self.path / "best", card=card)
        self.write_history(history)
        write_atomically(self.path / "curves.png", functools.partial(learning_curves(history).save, format="PNG"))
        if val_data is not None:
            sheet = validation_sheet(model, val_data)
            (self.path / "sheets").mkdir(exist_ok=True)
            write_atomically(
                self.path / "sheets" / f"epoch_{int(history[-1]['epoch']):04d}.jpg",
                functools.partial(sheet.save, format="JPEG", quality=90),
            )


def training_card(train_data: Samples, history: Sequence[Row]) -> ModelCard:
    """What a model card says of the training so far."""
    terms = [name for name in grouped(history[-1]) if name not in ("epoch", "loss", *BOOKKEEPING)]
    terms = [name for name in terms if not name.startswith(("quick_", "val_"))]
    epochs = "1 epoch" if len(history) == 1 else f"{len(history)} epochs"
    return ModelCard(
        data=f"{length(train_data)} images with masks, {epochs}.",
        notes=f"Terms of the loss: {', '.join(f'`{name}`' for name in terms)}.",
    )


def validation_sheet(model: Model, data: Samples, *, rows: int = 10) -> PillowImage.Image:
    """Lay out what a model makes of some images of a data set, always the same ones, evenly spread over it.

    Args:
        model: Any model; it stays as it is.
        data: Samples or plain pairs.
        rows: Largest number of images.

    Returns:
        A sheet of image, mask, prediction and errors; in the last, white where both are foreground, red where only the
        prediction is, blue where only the mask is.
    """
    predictor = Predictor(model)
    pictures, captions = [], []
    for index in np.linspace(0, length(data) - 1, min(rows, length(data))).round().astype(int).tolist():
        with seeded(0, index):
            image, mask, *rest = data[index]
        prediction = predictor(mask if model.preprocessing.source == "mask" else image)
        truth = mask[0].numpy()
        columns = {
            "image": image.permute(1, 2, 0).numpy(),
            "mask": truth,
            "prediction": prediction,
            "errors": error_map(prediction, truth),
        }
        pictures.append({name: thumbnail(picture) for name, picture in columns.items()})
        name = str(rest[0]) if rest else f"sample {index}"
        captions.append(f"{name}: mean absolute error {np.abs(prediction - truth).mean():.3f}")
    return contact_sheet(pictures, captions=captions)


def _write_history(path: Path, *, history: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        names = dict.fromkeys(name for row in history for name in row)  # on_epoch may add to a row
        writer = csv.DictWriter(file, fieldnames=list(names))
        writer.writeheader()
        writer.writerows(history)
