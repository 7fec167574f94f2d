"""What is kept of a model beside its weights: how to make it, and what its input needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...contracts import Model
from ...preprocessing import Preprocessing
from ...registry import qualified_name
from .batch_norm import is_frozen
from .layout import CONFIG_FILE

METADATA_KEY = "dichoseg"
"""Under it an exported ONNX file holds what `config.json` says."""
FORMAT_VERSION = 1


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a saved model.

    Raises:
        ValueError: One that is not readable, or not dichoseg's, or of a newer format.
    """
    path = folder / CONFIG_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from error
    return checked_config(text, str(path))


def checked_config(text: str, place: str) -> dict[str, Any]:
    """A model's configuration out of JSON that stands in `place`; errors as those of `read_config`."""
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
        raise ValueError(f"{place} holds no recipe and preprocessing that dichoseg has written")
    try:
        Preprocessing.from_dict(held["preprocessing"])  # refused here, before anything is made or filled
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place} holds preprocessing that cannot be used: {error}") from error
    return held


def _is_recipe(recipe: Any) -> bool:
    """Whether a recipe is one to be made from: a name, and nothing that opens other files."""
    if not isinstance(recipe, dict) or not isinstance(recipe.get("name"), str):
        return False
    arguments = [recipe, *(value for value in recipe.values() if isinstance(value, dict))]
    return not any(key in ("weights", "preprocessing", "checkpoint_path") for part in arguments for key in part)


def config_of(model: Model) -> dict[str, Any]:
    """A model's configuration: what is needed to make it again, but for its weights."""
    return {
        "format_version": FORMAT_VERSION,
        "library": "dichoseg",
        "recipe": None if model.recipe is None else _portable(model.recipe),
        "preprocessing": model.preprocessing.to_dict(),
        "frozen_batch_norm": is_frozen(model),
    }


def _portable(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe for elsewhere: other packages' parts with their package's name, and no backbone fetched again."""
    portable = dict(recipe)
    for field, group in (("name", "models"), ("encoder", "encoders"), ("decoder", "decoders")):
        if isinstance(recipe.get(field), str):
            portable[field] = qualified_name(group, recipe[field])
    if (recipe.get("encoder_args") or {}).get("pretrained"):
        portable["encoder_args"] = {**recipe["encoder_args"], "pretrained": False}
    return portable
