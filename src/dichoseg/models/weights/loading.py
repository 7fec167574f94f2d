"""Filling a model from a file, and recognising the network that a file holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...contracts import Model
from ...preprocessing import Preprocessing
from .batch_norm import freeze_batch_norm, is_frozen
from .config import read_config
from .layout import WEIGHTS_FILE, find_folder, local_folder
from .matching import Match, best_match, weights_of
from .published import published_names
from .reading import StoredWeights, listed, read_weights

logger = logging.getLogger(__name__)


def load_weights(model: Model, path: str | Path) -> StoredWeights:
    """Fill a model from a file, or from the folder of a saved model or of a run.

    Reads dichoseg's own `.safetensors`; the authors' `.pth` of a published network, bare or wrapped
    (`{"state_dict": ...}`, names behind `module.`, `net.`, `_orig_mod.`), with or without `num_batches_tracked`;
    Lightning's `.ckpt`; and `.onnx`. Where a graph's batch norms are folded into its convolutions, those of the model
    pass their input through; `is_uncalibrated(model)` then says so.

    A folder brings its preprocessing as well, and so does a graph that dichoseg exported. A graph of the answer alone
    leaves the side heads as they are, which is logged.

    Args:
        model: Filled in place. It stays on its device, in its type and in its mode.
        path: The file or folder.

    Returns:
        What the file held.

    Raises:
        FileNotFoundError: No such file.
        ImportError: An `.onnx` without onnx.
        ValueError: A file that cannot be read, that holds anything but tensors or values that are not finite, or whose
            weights do not fit; the message names the first that differ and the network that the file looks like.
            Nothing is changed then.
    """
    path = Path(path)
    folder = find_folder(path) if path.is_dir() else local_folder(path)
    if folder is None:
        stored = read_weights(path)
        fill(model, stored)
        if stored.config is not None:
            model.preprocessing = Preprocessing.from_dict(stored.config["preprocessing"])
        return stored
    preprocessing = Preprocessing.from_dict(read_config(folder)["preprocessing"])
    stored = read_weights(folder / WEIGHTS_FILE)
    fill(model, stored)
    model.preprocessing = preprocessing
    return stored


def from_file(path: Path, *, name: str | None = None) -> tuple[Model, StoredWeights, list[str]]:
    """Make the published network that a file holds, or the one that dichoseg exported to it.

    Args:
        path: A file that `load_weights` reads.
        name: The network, where it is known. Default: it is recognised by the file's keys and shapes.

    Returns:
        The model, with its published preprocessing; what the file held; names of what it had not, holding the answer
        alone.

    Raises:
        ValueError: A file that holds no published network, or not the named one.
    """
    from ..recipes import create_model

    stored = read_weights(path)
    config = stored.config
    if config is not None and config["recipe"] is not None and name is None:
        model = create_model(**config["recipe"])
        left = fill(model, stored)
        configure(model, config)
        return model, stored, left
    if name is None:
        name, _ = looks_like(stored)
        if name is None:
            held = f"{len(stored.state)} tensors ({listed(list(stored.state))})"
            raise ValueError(f"{path} ({stored.kind}) holds none of the published networks; got {held}")
    model = create_model(name)
    return model, stored, fill(model, stored)


def configure(model: Model, config: Mapping[str, Any]) -> None:
    """Give a model the preprocessing, and the frozen batch norm, that its configuration tells of."""
    model.preprocessing = Preprocessing.from_dict(config["preprocessing"])
    if config.get("frozen_batch_norm") and not is_frozen(model):
        freeze_batch_norm(model)


def fill(model: Model, stored: StoredWeights) -> list[str]:
    """Fill a model from what a file holds; as `load_weights`.

    Returns:
        Names of what the file did not have, because it holds the answer alone.
    """
    match = best_match(model, stored)
    if match.differences:
        raise ValueError(_misfit(model, stored, match))
    if match.others:
        logger.warning(
            "%s also holds %d tensors beside this network, which are passed over (%s, ...)",
            stored.path,
            len(match.others),
            match.others[0],
        )
    left = sorted(weights_of(model) - set(match.state))
    if left:
        logger.log(
            logging.WARNING if stored.config is None else logging.INFO,  # our own exports are so by intention
            "%s was exported for the answer alone; %d tensors of other heads keep their present values (%s, ...)",
            stored.path,
            len(left),
            left[0],
        )
    model.load_state_dict(match.state, strict=False)
    return left


def looks_like(stored: StoredWeights) -> tuple[str | None, bool]:
    """The published network that a file holds, and whether all of it fits; None where most of it fits none."""
    from ..recipes import create_model

    best, name, size = None, None, 1
    for candidate in published_names():
        with torch.device("meta"):
            model = create_model(candidate)
        match = best_match(model, stored)
        if best is None or match.differences < best:
            best, name, size = match.differences, candidate, len(weights_of(model))
    return (None, False) if best is None or best > size // 2 else (name, best == 0)


def _misfit(model: Model, stored: StoredWeights, match: Match) -> str:
    wanted = (model.recipe or {}).get("name") or type(model).__name__
    parts = {"missing": match.missing, "unexpected": match.unexpected, "other shapes": match.reshaped}
    differences = "; ".join(f"{label} {len(keys)} ({listed(keys)})" for label, keys in parts.items() if keys)
    name, whole = looks_like(stored)
    if name is None:
        likeness = "it looks like none of the published networks"
    elif whole:
        likeness = f"it holds {name}: create_model({name!r}, weights=...)"
    else:
        likeness = f"it looks like {name}, changed or in part"
    return f"{stored.path} ({stored.kind}) does not fit this model ({wanted}): {differences}; {likeness}"
