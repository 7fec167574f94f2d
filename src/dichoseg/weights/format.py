"""Files of a saved model, and its configuration: recipe and preprocessing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..batch_norm import is_frozen
from ..contracts import Model
from ..preprocessing import Preprocessing
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
    """Parse and check a model's configuration; `place` names it in errors, which are those of `read_config`."""
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
    }


def _check_recipe(recipe: dict[str, Any]) -> None:
    """Raise an error unless a recipe has a name, and no argument, at any depth, that opens other files."""
    for name in (recipe["name"], *(recipe[part] for part in PARTS if isinstance(recipe.get(part), str))):
        ComponentName.parse(name)
    refused = [argument for argument in _arguments(recipe) if argument in FORBIDDEN]
    if refused:
        raise ValueError(f"the argument {refused[0]!r} would open another file")


def _arguments(value: Any) -> Iterator[str]:
    """Yield the names of a recipe's arguments, including those in dicts and in the names of components."""
    if isinstance(value, str):
        name = _component_name(value)
        value = () if name is None else (name.keywords, *name.positional)
    if isinstance(value, dict):
        yield from value
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _arguments(inner)


def _component_name(text: str) -> ComponentName | None:
    """Return a text as the name of a component; None if it cannot be one."""
    try:
        return ComponentName.parse(text)
    except ValueError:
        return None


def _portable(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe for other machines: plugins' parts named with their package, no backbone downloaded again."""
    portable = {key: _without_download(key, value) for key, value in recipe.items()}
    for part, group in (("name", "models"), *PARTS.items()):
        if isinstance(recipe.get(part), str):
            portable[part] = qualified_name(group, portable[part])
    return portable


def _without_download(argument: str | None, value: Any) -> Any:
    """Return an argument with each `pretrained`, at any depth, set to False."""
    if argument == "pretrained" and value:
        return False
    if isinstance(value, dict):
        return {key: _without_download(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_download(None, inner) for inner in value]
    name = _component_name(value) if isinstance(value, str) else None
    if name is None or not (name.positional or name.keywords):
        return value
    keywords = {key: _without_download(key, inner) for key, inner in name.keywords.items()}
    positional = tuple(_without_download(None, inner) for inner in name.positional)
    return str(name._replace(positional=positional, keywords=keywords))
