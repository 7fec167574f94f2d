"""Conformance check of records of published files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from ..contracts import Model
from ..records import Published
from ..runtime.seeding import seeded
from ..weights.matching import match_record, weights_of
from ..weights.reading import StoredWeights
from .common import build, require, require_type


def check_published(make: Callable[[], Model], record: Published) -> None:
    """Check that a record describes the files of a model.

    - Its values are of the documented types, and no module is named twice.
    - Without a conversion, its names cover every module with weights, and a file with the authors' names fills the
      model. A conversion is not called, since the check does not know the contents of published files: load such a
      file in a test of your own.

    Args:
        make: Function that builds the model, such as `functools.partial(create_model, "isnet")`.
        record: The record that is registered under the model's name.
    """
    with seeded(0), torch.device("meta"):  # shapes are enough
        model = build("model", make)
    name = f"the record of {(model.recipe or {}).get('name', type(model).__name__)}"
    require_type(name, record, Published, "see dichoseg.records.Published")
    fault = record.fault()
    require(fault is None, name, "a usable record", f"one that {fault}", "see dichoseg.records.Published")
    ours = Counter(record.names.values())
    twice = [module for module, count in ours.items() if count > 1]
    require(not twice, name, "each module once", f"{twice[:3]} several times", "give each module one name")
    if record.convert is not None:
        return
    modules = {key.rpartition(".")[0] for key in weights_of(model)}
    require(
        set(ours) == modules,
        name,
        f"each of the model's {len(modules)} modules with weights",
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
