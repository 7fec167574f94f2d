"""Files of a saved model, and its configuration: how to make it, and what its input needs."""

from __future__ import annotations

import json
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
    """Read the `config.json` of a saved model.

    Raises:
        ValueError: It is unreadable, not from dichoseg, or of a newer format.
    """
    path = folder / CONFIG_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from error
    return checked_config(text, str(path))


def checked_config(text: str, place: str) -> dict[str, Any]:
    """Parse and check a model's configuration; `place` names it in errors, which are those of `read_config`."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place} is not readable JSON: {error}") from error
    held = config if isinstance(config, dict) else {}
    version = held.get("format_version")
    if held.get("library") != "dichoseg" or type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ValueError(
            f"{place} is not a dichoseg model of format {FORMAT_VERSION} or older; "
            f"it says library {held.get('library')!r}, format {version!r}"
        )
    missing = {"recipe", "preprocessing"} - set(held)
    if missing:
        raise ValueError(f"{place} lacks {' and '.join(sorted(missing))}")
    recipe = held["recipe"]
    if not isinstance(held["preprocessing"], dict) or not (recipe is None or _is_recipe(recipe)):
        raise ValueError(f"{place} holds a recipe or preprocessing that dichoseg did not write")
    try:
        Preprocessing.from_dict(held["preprocessing"])  # checked here, before a model is made or filled
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place} holds preprocessing that cannot be used: {error}") from error
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


def _is_recipe(recipe: Any) -> bool:
    """Return whether a recipe has a name and no argument that opens other files."""
    if not isinstance(recipe, dict) or not isinstance(recipe.get("name"), str):
        return False
    arguments = [recipe, *(value for value in recipe.values() if isinstance(value, dict))]
    try:
        arguments += [ComponentName.parse(recipe[part]).keywords for part in ("name", *PARTS) if part in recipe]
    except (TypeError, ValueError):
        return False
    return not any(key in FORBIDDEN for part in arguments for key in part)


def _portable(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe for other machines: plugins' parts named with their package, no backbone downloaded again."""
    portable = dict(recipe)
    for part, group in (("name", "models"), *PARTS.items()):
        if isinstance(recipe.get(part), str):
            name = ComponentName.parse(qualified_name(group, recipe[part]))
            if "pretrained" in name.keywords:
                name = name._replace(keywords={**name.keywords, "pretrained": False})
            portable[part] = str(name)
    if (recipe.get("encoder_args") or {}).get("pretrained"):
        portable["encoder_args"] = {**recipe["encoder_args"], "pretrained": False}
    if recipe.get("pretrained"):
        portable["pretrained"] = False
    return portable
