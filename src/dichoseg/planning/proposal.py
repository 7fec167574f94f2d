"""Proposal of a fine-tuning run: everything that `fit` takes, derived from the data, the weights and the machine."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Subset

from ..checking import number
from ..contracts import Model, length
from ..data import DataReport, FolderDataset
from ..data.layouts import open_data
from ..runtime.files import write_json
from ..training import fit
from ..training.base import SHARES
from ..training.settings import describe_data
from ..untrusted import UnusableFileError
from ..weights import load_model
from ..weights.catalogue import DEFAULT
from .machine import Machine, describe_machine
from .recipe import Recipe
from .rules import recipe_for, with_epochs

FORMAT_VERSION = 1
"""Format of the file of a proposal."""
FEWEST = 2
"""Fewest pairs that a run can be proposed for."""
FORWARD = 0.35
"""Time of an image in validation, as a fraction of that in training."""
FINAL = 3
"""Models that `dichoseg train` scores at the end: the base, the last and the best one."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Proposed arguments of a fine-tuning run, as plain data.

    `print(proposal)` shows them with a reason for each. `dichoseg train` takes the file that `save` writes; in Python,
    `model, arguments = proposal.build()` and then `fit(model, data, **arguments)`.
    """

    samples: str
    """Digest of the names of the samples."""
    weights: str
    """Weights to start from."""
    recipe: Recipe
    """Proposed values."""
    reasons: Mapping[str, str]
    """Reason for each value, by its name."""
    facts: str
    """Summary of the data."""
    machine: Machine
    """Machine that it was made for."""
    memory_gb: float
    """Forecast of the peak memory in GB of 1e9 bytes."""
    seconds: float
    """Forecast of the duration, from a step that was measured."""
    notes: tuple[str, ...] = ()
    """Problems of the data to look at."""
    format_version: int = FORMAT_VERSION

    def text(self) -> str:
        """Format for a terminal."""
        machine = self.machine
        lines = [
            self.facts,
            f"{machine.name}, {machine.cores} cores, {machine.training_memory_gb:.0f} GB of memory",
            f"weights to start from: {self.weights}",
            "",
        ]
        shown = {name: _shown(value) for name, value in dataclasses.asdict(self.recipe).items()}
        width = max(map(len, shown.values()))
        lines += [f"{name:24}{shown[name]:{width}}  {self.reasons.get(name, '')}".rstrip() for name in shown]
        lines += ["", f"memory: {self.memory_gb:.1f} GB; time: {_duration(self.seconds)}"]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __str__(self) -> str:
        return self.text()

    def save(self, path: str | Path) -> None:
        """Write the proposal as JSON."""
        write_json(Path(path), dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> Proposal:
        """Read what `save` wrote; values in `recipe` may have been edited.

        Raises:
            UnusableFileError: The file does not hold a proposal of this version.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format_version"] != FORMAT_VERSION:
                raise ValueError(f"it has format {content['format_version']}; wanted {FORMAT_VERSION}")
            parts = {"recipe": Recipe(**content["recipe"]), "machine": Machine(**content["machine"])}
            return cls(**content | parts | {"notes": tuple(content["notes"])})
        except (ValueError, TypeError, KeyError) as error:
            raise UnusableFileError(f"{path} is not a proposal of `dichoseg plan`: {error}") from error

    def check(self, dataset: FolderDataset, weights: str | Path | None = None) -> None:
        """Raise a ValueError if a data set, or weights to start from, are not those that this was made for."""
        if describe_data(dataset) != self.samples:
            raise ValueError(
                f"the proposal was made for other data, {self.facts}; got {len(dataset)} pairs. Propose a "
                "run for this data"
            )
        if weights is not None and not _is_same(str(weights), self.weights):
            raise ValueError(f"the proposal was made for the weights {self.weights}; got {weights}. Propose a new run")

    def build(self) -> tuple[Model, dict[str, Any]]:
        """Return the model to train, and the arguments of `fit`, except the data."""
        return self.recipe.prepare(load_model(self.weights, size=self.recipe.size)), self.recipe.arguments()


def propose(
    train_data: str | Path | FolderDataset,
    *,
    val_data: FolderDataset | None = None,
    weights: str | Path = DEFAULT,
    memory_gb: float | None = None,
    hours: float | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Proposal:
    """Propose how to fine-tune weights on a data set.

    Every file of the data is read once; memory is forecast; two steps of training are run and measured. Nothing is
    written.

    `model, arguments = propose("data").build(); fit(model, "data", **arguments)`

    Without a validation set in the folder, split one off first: `train, val = open_folders("data", val_fraction=0.1)`,
    then `propose(train, val_data=val)` and `fit(model, train, val_data=val, **arguments)`.

    Args:
        train_data: Data set, or folder in a layout that `open_folders` knows.
        val_data: Validation set. Default: that in the folder; without one, a part of the training set is proposed.
        weights: Weights to start from, as in `load_model`.
        memory_gb: Memory for training in GB of 1e9 bytes. Default: the GPU's, or the machine's.
        hours: Longest duration of the run in hours, which limits the epochs. Default: no limit.
        device: Device to train on. Default: that of `fit`.
        progress: Whether to show the progress.

    Raises:
        ValueError: The data has fewer than two usable pairs or no foreground, or nothing fits into the memory or hours.
    """
    dataset, validation = open_data(train_data, val_data)
    if not isinstance(dataset, FolderDataset):
        raise TypeError(f"train_data must be a folder or a FolderDataset, whose files are read; got {train_data!r}")
    limit = math.inf if hours is None else number("hours", hours)
    folder = validation if isinstance(validation, FolderDataset) else None
    report = dataset.report(other=folder, progress=progress)
    _check(report)
    machine = describe_machine(device)
    memory = machine.training_memory_gb if memory_gb is None else number("memory_gb", memory_gb)
    model = load_model(weights)
    held_out = 0 if validation is None else length(validation)
    proposed = recipe_for(model, report, validation=held_out, memory_gb=memory, device=device)
    usable = dataset.without(report.unusable) if report.unusable else dataset
    proposal = Proposal(
        samples=describe_data(dataset),
        weights=str(weights),
        recipe=proposed.recipe,
        reasons=proposed.reasons,
        facts=report.text(limit=0).partition("\n")[0],
        machine=machine,
        memory_gb=proposed.fit.forecast.total,
        seconds=0.0,
        notes=_notes(report, None if folder is None else folder.report(progress=progress)),
    )
    del model
    return _timed(proposal, usable, held_out, limit, device)


def _check(report: DataReport) -> None:
    """Refuse data that nothing can be trained on."""
    usable = report.pairs - len(report.unusable)
    if usable < FEWEST:
        raise ValueError(
            f"a run needs {FEWEST} usable pairs at least, one to train on and one to validate on, and gets useful with "
            f"about 25; got {usable} of {report.pairs}"
        )
    if report.foreground is not None and report.foreground[2] == 0:
        raise ValueError(
            f"the masks of all {report.pairs} pairs are empty, no value is above 0.5; are they masks, and is their "
            "foreground white?"
        )


def _notes(report: DataReport, validation: DataReport | None) -> tuple[str, ...]:
    """Return a line for each kind of problem in the data."""
    notes = _problems(report)
    notes += [f"validation set: {line}" for line in (_problems(validation) if validation else ())]
    if report.unusable:
        notes.append(f"{len(report.unusable)} pairs cannot be used, and must be fixed or left out before the run")
    return tuple(notes)


def _problems(report: DataReport) -> list[str]:
    """Return a line for each kind of problem in a data set."""
    return [f"{kind}: {count}" for kind, count in Counter(problem.kind for problem in report.problems).items()]


def _timed(
    proposal: Proposal, dataset: FolderDataset, validation: int, hours: float, device: str | torch.device | None
) -> Proposal:
    """Return a proposal with the duration of the run, and with fewer epochs if they take more than a number of hours.

    Two steps are run; the speed is that of the second one.
    """
    recipe = proposal.recipe
    model, arguments = proposal.build()
    few = Subset(dataset, range(min(len(dataset), recipe.batch_size)))
    history = fit(model, few, **arguments | {"epochs": 2, "base": "ignore"}, device=device, progress=False)
    held_back = recipe.held_back(len(dataset))
    training = len(dataset) - held_back
    speed = history[-1]["images_per_second"]
    scoring = FORWARD * (validation or held_back) / speed
    epoch = training / speed + scoring
    averages = len(SHARES[recipe.base])
    rest = scoring * (1 + averages + FINAL)  # of the base, its averages, and the final scores
    epochs = min(recipe.epochs, int((3600 * hours - rest) / epoch)) if hours < math.inf else recipe.epochs
    if epochs < 1:
        raise ValueError(f"one epoch with its scores takes {_duration(rest + epoch)}; got hours={hours:g}")
    reasons = dict(proposal.reasons)
    if epochs < recipe.epochs:
        recipe, changed = with_epochs(recipe, epochs, training)
        reasons |= changed | {"epochs": f"{changed['epochs']}, as many as fit into {hours:g} hours"}
    return dataclasses.replace(proposal, recipe=recipe, reasons=reasons, seconds=rest + epochs * epoch)


def _is_same(one: str, other: str) -> bool:
    """Return whether two texts name the same weights."""
    return one == other or (os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other))


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"about {minutes} min" if minutes < 100 else f"about {seconds / 3600:.1f} h"
