"""Make a model and fill it from a file or a folder."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..batch_norm import freeze_batch_norm, is_frozen
from ..contracts import Model
from ..models.make import make_model
from ..preprocessing import Preprocessing
from ..records import Weights
from ..untrusted import arguments_from_file, check_elements, reading
from .card import ModelCard
from .format import WEIGHTS_FILE, arguments_of, inside, made_with, origin_of, packages_of, read_config
from .matching import Match, best_match, weights_of
from .reading import StoredWeights, listed, read_weights
from .recognition import looks_like
from .saving import save_model
from .sources import Source, find_source
from .unstated import default_of, is_same, unstated_arguments

logger = logging.getLogger(__name__)


class Conversion(NamedTuple):
    """Result of `convert_weights`."""

    model: Model
    stored: StoredWeights


def create_model(
    name: str,
    *,
    encoder: str | None = None,
    decoder: str | None = None,
    heads: str | None = None,
    pretrained: bool = False,
    weights: str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    preprocessing: Preprocessing | None = None,
    **recipe: Any,
) -> Model:
    """Make a model by name.

    `create_model("isnet", encoder="timm:convnext_tiny", pretrained=True, decoder="fpn(channels=64)", size=512)`

    The name and the arguments are kept in `model.recipe`, so that `save_model` and `load_model` can rebuild the model.
    The weights are new: `create_model("u2net")` is an untrained U²-Net, `load_model("u2net")` a published one.

    Args:
        name: A name in `list_components("models")`.
        encoder: Name of the encoder, for a recipe that takes one, such as `"isnet"`. Default: the recipe's own.
        decoder: Name of the decoder.
        heads: Name of the heads.
        pretrained: Whether the encoder starts from its published weights, which a timm encoder downloads.
        weights: Weights to start from, as for `dichoseg.weights.load_weights`: published weights by name, the
            authors' `.pth` of a published network, an `.onnx` of one, or a saved model, whose preprocessing is taken
            over. A model from an `.onnx` file mostly needs `calibrate_batch_norm` before it can be trained.
        size: Size of the model's input in pixels: (height, width), or an int for a square. Default: the model's own.
        preprocessing: Preprocessing that replaces all of the model's own, normalization included. To change the size
            only, use `size`.
        **recipe: Further arguments of the named recipe, as plain JSON values. For `"isnet"`: `encoder_args` and
            `decoder_args`, dicts of arguments.
    """
    parts = {"encoder": encoder, "decoder": decoder, "heads": heads, "pretrained": pretrained or None}
    held = None
    if weights is not None:
        found = find_source(weights)
        with _reading(found):
            held = _opened(found)
            unstated = unstated_arguments(name, recipe, held.stored, record=found.record, config=held.config)
        recipe = {**unstated, **recipe}
    model = make_model(name, **{part: value for part, value in parts.items() if value is not None}, **recipe)
    if held is not None:
        with _reading(held.found):
            _fill_from(held, model)
    if preprocessing is not None:
        _warn_of_replaced(model.preprocessing, preprocessing)
    model.preprocessing = (preprocessing or model.preprocessing).with_size(size)
    return model


def _warn_of_replaced(own: Preprocessing, new: Preprocessing) -> None:
    """Warn if a preprocessing that only states a size replaces more than the size."""
    if new != Preprocessing(size=new.size):
        return
    replaced = {
        field.name: getattr(own, field.name)
        for field in dataclasses.fields(own)
        if field.name != "size" and getattr(own, field.name) != getattr(new, field.name)
    }
    if replaced:
        listed = ", ".join(f"{name} {value}" for name, value in replaced.items())
        message = (
            "preprocessing=Preprocessing(size=%s) also replaces the model's own %s; create_model(size=%s) keeps it"
        )
        logger.warning(message, new.size, listed, new.size)


def load_weights(model: Model, path: str | Path) -> StoredWeights:
    """Fill a model from a file, from the folder of a saved model or of a run, or from published weights by name.

    Reads dichoseg's own `.safetensors`; the authors' `.pth` of a published network, bare or wrapped
    (`{"state_dict": ...}`, names behind `module.`, `net.`, `_orig_mod.`), with or without `num_batches_tracked`;
    Lightning's `.ckpt`; and `.onnx`. If a graph's batch norms are folded into its convolutions, those of the model
    pass their input through; `is_uncalibrated(model)` then returns True.

    The preprocessing of a folder, of a name, and of a graph that dichoseg exported, is taken over. A graph without side
    heads leaves those of the model as they are, which is logged.

    Args:
        model: Model to fill in place. It keeps its device, dtype and mode.
        path: Path of the file or folder, a name in `list_weights()`, or a hub id.

    Returns:
        The contents of the file.

    Raises:
        FileNotFoundError: The file does not exist, and cannot be downloaded.
        ImportError: An `.onnx` file is given without onnx.
        UnusableFileError: A ValueError. The file is unreadable, holds anything but tensors or values that are not
            finite, is beyond a limit, or does not fit; the message names the first differences and the network that the
            file looks like. The model is unchanged.
    """
    found = find_source(path)
    with _reading(found):
        held = _opened(found)
        _check_unstated(model, held.stored, record=held.found.record, config=held.config)
        return _fill_from(held, model)


def load_model(
    source: str | Path | Weights,
    *,
    model: Model | None = None,
    size: int | tuple[int, int] | None = None,
    revision: str | None = None,
    accept_license: bool = False,
) -> Model:
    """Load a model that `save_model` or `fit` wrote, or that a published network's file holds.

    No code from a folder or a file is executed, and no other file or address is opened; the page "Trust" of the
    documentation has the details.

    `load_model("isnet-general-use")` downloads published weights on first use, and verifies them. Their names are not
    those of `create_model`: there, `"u2net"` is an untrained network.

    Args:
        source: A folder, a run's folder (its best weights are used, else the last); a file such as `u2net.pth` or
            `isnet-general-use.onnx`, whose network is recognized; a name in `list_weights()`; or a Hugging Face hub id
            such as `"name/model"`. The first of them that exists, in this order, is logged. A record of
            `list_weights()` is taken as it is.
        model: For a model composed of objects: the same composition, whose weights and preprocessing are filled in.
        size: Size of the model's input in pixels: (height, width), or an int for a square. Default: the model's own.
        revision: Branch, tag or commit on the hub, for a hub id. Default: its main branch.
        accept_license: Whether to accept the license of published weights that are for non-commercial use, which is
            asked once.

    Returns:
        The model in eval mode, on the CPU.

    Raises:
        FileNotFoundError: `source` is none of these, or downloads are off.
        ConnectionError: Published weights cannot be downloaded; the message lists what happened at each address.
        UnusableFileError: A ValueError. The files hold no model or do not fit together, are beyond a limit, a part
            comes from a package that is not installed (the message names it), or the model was composed of objects and
            `model` is missing.
    """
    found = find_source(source, revision=revision, accept_license=accept_license)
    with _reading(found):
        if found.folder is not None:
            model = _from_folder(found.folder, model)
        elif model is None:
            model = _from_source(found)[0]
        else:
            held = _opened(found)
            _check_unstated(model, held.stored, record=held.found.record, config=held.config)
            _fill_from(held, model)
    model.preprocessing = model.preprocessing.with_size(size)
    return model.eval()


def convert_weights(
    source: str | Path, folder: str | Path, *, name: str | None = None, license: str = "unknown"
) -> Conversion:
    """Recognize the published network that a file holds, and save it as a model of dichoseg.

    Args:
        source: A file that `load_weights` reads, or a name in `list_weights()`.
        folder: New or empty folder for the model.
        name: Name of the network, as in `list_components("models")`. Default: recognized by the file's keys and shapes.
        license: License of the weights, for the model card: an identifier of the Hugging Face hub, such as
            `"apache-2.0"`. Default: that of the published weights, if they are given by name.

    Returns:
        The model, with its published preprocessing, and the contents of the file.

    Raises:
        FileExistsError: The folder is not empty.
        UnusableFileError: A ValueError. The file holds no published network, or not the named one. Nothing is written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} already holds something; wanted a new folder for the model")
    found = find_source(source)
    if found.folder is not None:
        raise ValueError(f"{source} is a saved model, for load_model; wanted a foreign file of weights")
    with _reading(found):
        model, stored, left = _from_source(found, name=name)
    notes = f"Converted from `{found.file.name}` ({stored.kind})."
    if left:
        notes += f" It held no side heads: {len(left)} tensors of other heads are new and untrained."
    save_model(model, folder, card=ModelCard(license=license, notes=notes))
    return Conversion(model.eval(), stored)


def from_file(
    path: Path, *, name: str | None = None, record: Weights | None = None
) -> tuple[Model, StoredWeights, list[str]]:
    """Make the published network that a file holds, or the model that dichoseg exported to it.

    Args:
        path: A file that `load_weights` reads.
        name: Name of the network. Default: recognized by the file's keys and shapes.
        record: Record of published weights that the file holds. Default: looked up by its checksum, if needed.

    Returns:
        The model, with its published preprocessing; the contents of the file; names of the tensors that it lacks,
        because it holds no side heads.
    """
    stored = read_weights(path)
    config = stored.config
    if config is not None and config["recipe"] is not None and name is None:
        with made_with(config):
            model = _made(config["recipe"], stored)
            left = fill(model, stored)
        _configure(model, config)
        return model, stored, left
    if name is None:
        name, _ = looks_like(stored)
        if name is None:
            held = f"{len(stored.state)} tensors ({listed(list(stored.state))})"
            raise ValueError(f"{path} ({stored.kind}) holds none of the published networks; got {held}")
    model = make_model(name, **unstated_arguments(name, {}, stored, record=record))
    return model, stored, fill(model, stored)


def _from_source(found: Source, *, name: str | None = None) -> tuple[Model, StoredWeights, list[str]]:
    """Make the network of a file, as `from_file` does; with a record, the network and preprocessing that it states."""
    record = found.record
    if record is None:
        return from_file(found.file, name=name)
    made = from_file(found.file, name=name or record.network, record=record)
    _take_over(made[0], record)
    return made


class _Held(NamedTuple):
    found: Source
    stored: StoredWeights
    config: dict[str, Any] | None
    """Configuration of a folder, or of a graph that dichoseg exported."""


def _opened(found: Source) -> _Held:
    """Read a file of weights, and the configuration that comes with it."""
    stored = read_weights(found.file)
    return _Held(found, stored, stored.config if found.folder is None else read_config(found.folder))


def _check_unstated(
    model: Model, stored: StoredWeights, *, record: Weights | None = None, config: dict[str, Any] | None
) -> None:
    """Raise a ValueError unless a model has the arguments that the file needs and does not show."""
    recipe = dict(model.recipe or {})
    name = recipe.pop("name", "composed")
    for argument, needed in unstated_arguments(name, recipe, stored, record=record, config=config).items():
        has = recipe.get(argument, default_of(name, argument))
        if not is_same(has, needed):
            raise ValueError(f"{stored.path} needs {argument}={needed!r}; the model has {has!r}")


def _fill_from(held: _Held, model: Model) -> StoredWeights:
    """Fill a model, and take over the preprocessing that comes with the weights."""
    found, stored, config = held
    fill(model, stored)
    if config is not None:
        model.preprocessing = Preprocessing.from_dict(config["preprocessing"])
        model.origin = origin_of(config)
    if found.record is not None:
        _take_over(model, found.record)
    return stored


def _take_over(model: Model, record: Weights) -> None:
    """Give a model the preprocessing and the license of published weights."""
    model.preprocessing = dataclasses.replace(model.preprocessing, **record.preprocessing)
    model.origin = record


def fill(model: Model, stored: StoredWeights) -> list[str]:
    """Fill a model from the contents of a file, as `load_weights` does.

    Returns:
        Names of the tensors that the file lacks, because it holds no side heads.
    """
    match = best_match(model, stored)
    if match.differences:
        raise ValueError(_misfit(model, stored, match))
    if match.others:
        logger.warning(
            "%s also holds %d tensors of something else, which are ignored (%s, ...)",
            stored.path,
            len(match.others),
            match.others[0],
        )
    left = sorted(weights_of(model) - set(match.state))
    if left:
        logger.log(
            logging.WARNING if stored.config is None else logging.INFO,  # intended in our own exports
            "%s was exported without side heads; %d tensors of other heads keep their present values (%s, ...)",
            stored.path,
            len(left),
            left[0],
        )
    model.load_state_dict(match.state, strict=False)
    return left


def _from_folder(folder: Path, model: Model | None) -> Model:
    """Make, or only fill, the model that was saved in a folder."""
    config = read_config(folder)
    stored = read_weights(inside(folder, WEIGHTS_FILE))
    if model is None and config["recipe"] is None:
        raise ValueError(
            f"{folder} holds a model that was composed of objects; compose it again and load_model(path, model=mine)"
        )
    with made_with(config):
        if model is None:
            model = _made(config["recipe"], stored)
        else:
            _check_unstated(model, stored, config=config)
        fill(model, stored)
    _configure(model, config)
    return model


def _made(recipe: dict[str, Any], stored: StoredWeights) -> Model:
    """Make the model of a recipe that came with a file, after a comparison of its outline, without memory, with it."""
    with arguments_from_file(argument for argument, _ in arguments_of(recipe)):
        try:
            with torch.device("meta"):
                outline = make_model(**recipe)
        except Exception as error:
            if not packages_of(recipe):  # which may need real tensors
                place = stored.path if stored.is_graph else stored.path.parent
                raise ValueError(f"the model in {place} cannot be made: {error}") from error
        else:
            held = [*outline.parameters(), *outline.buffers()]
            check_elements(sum(value.numel() for value in held), stored.path.stat().st_size)
            match = best_match(outline, stored)
            if match.differences:
                raise ValueError(_misfit(outline, stored, match))
        return make_model(**recipe)  # not the outline filled: buffers that are not saved need their values


def _reading(found: Source) -> AbstractContextManager[None]:
    """Return the context in which errors about a source's content name it."""
    return reading(found.folder or found.file)


def _configure(model: Model, config: Mapping[str, Any]) -> None:
    """Apply the preprocessing, the origin and the frozen batch norm of a configuration."""
    model.preprocessing = Preprocessing.from_dict(config["preprocessing"])
    model.origin = origin_of(config)
    if config.get("frozen_batch_norm") and not is_frozen(model):
        freeze_batch_norm(model)


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
