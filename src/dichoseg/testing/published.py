"""Conformance check of records of published files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from ..contracts import Model
from ..records import Published
from ..runtime.seeding import seeded
from ..weights.matching import match_record, weights_of
from ..weights.reading import StoredWeights
from .common import build, require


def check_published(make: Callable[[], Model], record: Published) -> None:
    """Check that a record describes the files of a model.

    Without a conversion: its names cover every module with weights exactly once, and a file with the authors' names
    fills the model.

    Args:
        make: Function that builds the model, such as `functools.partial(create_model, "isnet")`.
        record: The record that is registered under the model's name.

    Raises:
        ConformanceError: The first violation.
        TypeError: `make` is a model, not a function that builds one.
    """
    with seeded(0), torch.device("meta"):  # shapes are enough
        model = build("model", make)
    name = f"the record of {(model.recipe or {}).get('name', type(model).__name__)}"
    require(
        isinstance(record, Published),
        name,
        "a Published",
        f"a {type(record).__name__}",
        "see dichoseg.records.Published",
    )
    require(bool(record.names), name, "names", "none", "list the authors' name of each module with parameters")
    if record.convert is not None:
        require(
            callable(record.convert), name, "a function in convert", repr(record.convert), "state dict -> state dict"
        )
        return
    modules = {key.rpartition(".")[0] for key in weights_of(model)}
    ours = list(record.names.values())
    require(
        set(ours) == modules and len(set(ours)) == len(ours),
        name,
        f"each of the model's {len(modules)} modules with weights once",
        f"missing {sorted(modules - set(ours))[:3]}, unknown {sorted(set(ours) - modules)[:3]}",
        "names maps the authors' modules to the model's, or to intermediate names with convert=",
    )
    theirs = {own: author for author, own in record.names.items()}
    state = {}
    for key, value in model.state_dict().items():
        module, _, leaf = key.rpartition(".")
        state[f"{theirs[module]}.{leaf}" if theirs[module] else leaf] = value
    match = match_record(model, StoredWeights(Path("published.pth"), "torch checkpoint", state), record)
    require(
        match.differences == 0,
        name,
        "a file with the authors' names that fits the model",
        f"missing {match.missing[:3]}, unexpected {match.unexpected[:3]}, other shapes {match.reshaped[:3]}",
        "no name may end with a dot and another name",
    )
