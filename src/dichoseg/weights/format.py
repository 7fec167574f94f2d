"""Files of a saved model, and its configuration: recipe and preprocessing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..batch_norm import is_frozen
from ..contracts import Model
from ..preprocessing import Preprocessing
from ..records import Weights
from ..registry import ComponentName, qualified_name

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
METADATA_KEY = "dichoseg"
"""Key of the configuration in the metadata of an exported ONNX file."""
FORMAT_VERSION = 2
"""Since 2, the preprocessing's size may be (height, width), and names in a recipe may have arguments."""
PARTS = {"encoder": "encoders", "decoder": "decoders", "heads": "heads"}
"""Arguments of recipes that name a component, and the component's group."""
FORBIDDEN = ("weights", "preprocessing", "checkpoint_path")
"""Arguments that would open other files."""


def read_config(folder: Path) -> dict[str, Any]:
    """Read the `config.json` of a saved model."""
    path = folder / CONFIG_FILE
    return parse_config(path.read_bytes(), str(path))


def parse_config(text: str | bytes, place: str) -> dict[str, Any]:
    """Parse and check a model's configuration; `place` names it in errors."""
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{place} is not readable JSON: {error}") from error
    held: dict[str, Any] = config if isinstance(config, dict) else {}
    library, version = held.get("library"), held.get("format_version")
    if library != "dichoseg" or version not in range(1, FORMAT_VERSION + 1):
        raise ValueError(
            f"{place} is not a dichoseg model of format {FORMAT_VERSION} or older; "
            f"it says library {library!r}, format {version!r}"
        )
    try:
        Preprocessing.from_dict(held["preprocessing"])  # checked here, before a model is made or filled
        if held["recipe"] is not None:
            _check_recipe(held["recipe"])
        origin_of(held)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{place} holds a recipe or preprocessing that cannot be used: {reason}") from error
    return held


def config_of(model: Model) -> dict[str, Any]:
    """Return a model's configuration: all that is needed to make it again, except for its weights."""
    return {
        "format_version": FORMAT_VERSION,
        "library": "dichoseg",
        "recipe": None if model.recipe is None else _portable(model.recipe),
        "preprocessing": model.preprocessing.to_dict(),
        "frozen_batch_norm": is_frozen(model),
        "origin": None if model.origin is None else _license_of(model.origin),
    }


def origin_of(config: Mapping[str, Any]) -> Weights | None:
    """Return the record of the published weights that a saved model was filled with."""
    held = config.get("origin")
    return None if held is None else Weights(**held)


def _license_of(record: Weights) -> dict[str, Any]:
    """Return what a record says about a file and its license, as plain values."""
    left_out = ("addresses", "preprocessing")
    fields = dataclasses.asdict(record)
    return {name: value for name, value in fields.items() if name not in left_out and value is not None}


def _check_recipe(recipe: dict[str, Any]) -> None:
    """Raise an error unless a recipe has a name, and no argument, at any depth, that opens other files."""
    for name in (recipe["name"], *(recipe[part] for part in PARTS if isinstance(recipe.get(part), str))):
        if not isinstance(name, str):
            raise TypeError(f"wanted a name; got {name!r}")
        ComponentName.parse(name)

    def check(argument: str, value: Any) -> Any:
        if argument in FORBIDDEN:
            raise ValueError(f"the argument {argument!r} would open another file")
        return value

    _map_arguments(recipe, check)


def _portable(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe for other machines: plugins' parts named with their package, no backbone downloaded again."""
    portable: dict[str, Any] = _map_arguments(
        recipe, lambda argument, value: False if argument == "pretrained" and value else value
    )
    for part, group in (("name", "models"), *PARTS.items()):
        if isinstance(recipe.get(part), str):
            portable[part] = qualified_name(group, portable[part])
    return portable


def _map_arguments(value: Any, change: Callable[[str, Any], Any]) -> Any:
    """Change the value of every argument, also in lists and in the names of components, with a function of both."""
    if isinstance(value, dict):
        return {argument: _map_arguments(change(argument, inner), change) for argument, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_map_arguments(inner, change) for inner in value]
    name = _component_name(value) if isinstance(value, str) else None
    if name is None or not (name.positional or name.keywords):
        return value
    positional, keywords = (_map_arguments(arguments, change) for arguments in (name.positional, name.keywords))
    return str(name._replace(positional=tuple(positional), keywords=keywords))


def _component_name(text: str) -> ComponentName | None:
    """Return a text as the name of a component; None if it cannot be one."""
    try:
        return ComponentName.parse(text)
    except ValueError:
        return None
