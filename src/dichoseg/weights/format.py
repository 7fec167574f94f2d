"""Files of a saved model, and its configuration: recipe and preprocessing."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..batch_norm import is_frozen
from ..contracts import Model
from ..preprocessing import Preprocessing
from ..records import Weights
from ..registry import OWN_PACKAGE, ComponentName, qualified_name, version_of
from ..untrusted import UnusableFileError, check_limit, limit

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
METADATA_KEY = "dichoseg"
"""Key of the configuration in the metadata of an exported ONNX file."""
FORMAT_VERSION = 2
"""Since 2, the preprocessing's size may be (height, width), and names in a recipe may have arguments."""
PARTS = {"encoder": "encoders", "decoder": "decoders", "heads": "heads"}
"""Arguments of recipes that name a component, and the component's group."""
FORBIDDEN = (
    "weights",
    "preprocessing",
    "checkpoint_path",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "cache_dir",
    "file",
    "url",
    "hf_hub_id",
)
"""Arguments that would open other files or addresses, as would any with `pretrained` in its name that is not false."""
_ADDRESS = re.compile(r"\b(hf[-_]hub|local[-_]dir|file|ftp|https?)\s*:", re.IGNORECASE)


def read_config(folder: Path) -> dict[str, Any]:
    """Read the `config.json` of a saved model."""
    path = inside(folder, CONFIG_FILE)
    with path.open("rb") as file:
        return parse_config(file.read(limit("bytes of a configuration") + 1), str(path))


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a saved model; raise an error for a link to a file elsewhere.

    Links into the `blobs` of the Hugging Face hub's cache are allowed: it stores every file so.
    """
    path, home = folder / name, folder.resolve()
    real = path.resolve()
    if home not in real.parents and home.parents[1 if len(home.parents) > 1 else 0] / "blobs" != real.parent:
        raise UnusableFileError(f"{path} is a link to a file outside of its folder; copy that file there")
    return path


def parse_config(text: str | bytes, place: str) -> dict[str, Any]:
    """Parse and check a model's configuration; `place` names it in errors."""
    try:
        check_limit("bytes of a configuration", len(text))
        config = json.loads(text, parse_constant=_not_finite, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UnusableFileError(f"{place} is not readable JSON: {error}") from error
    held: dict[str, Any] = config if isinstance(config, dict) else {}
    library, version = held.get("library"), held.get("format_version")
    if library != "dichoseg" or version not in range(1, FORMAT_VERSION + 1):
        raise UnusableFileError(
            f"{place} is not a dichoseg model of format {FORMAT_VERSION} or older; "
            f"it says library {library!r:.40}, format {version!r:.40}"
        )
    try:
        size = Preprocessing.from_dict(held["preprocessing"]).height_width  # before a model is made or filled
        check_limit("pixels of an input's side", max(size or (0,)))
        if held["recipe"] is not None:
            _check_recipe(held["recipe"])
        origin_of(held)
        _check_packages(held.get("packages", {}))
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)[:500]
        raise UnusableFileError(f"{place} holds a recipe or preprocessing that cannot be used: {reason}") from error
    return held


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of pairs whose keys differ."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def config_of(model: Model) -> dict[str, Any]:
    """Return a model's configuration: all that is needed to make it again, except for its weights."""
    recipe = None if model.recipe is None else _portable(model.recipe)
    packages = packages_of(recipe) if recipe else []
    return {
        "format_version": FORMAT_VERSION,
        "library": "dichoseg",
        "recipe": recipe,
        "preprocessing": model.preprocessing.to_dict(),
        "packages": {package: version_of(package) for package in (OWN_PACKAGE, *packages)},
        "frozen_batch_norm": is_frozen(model),
        "origin": None if model.origin is None else _license_of(model.origin),
    }


def origin_of(config: Mapping[str, Any]) -> Weights | None:
    """Return the record of the published weights that a saved model was filled with."""
    held = config.get("origin")
    if held is None:
        return None
    if not all(isinstance(value, str | int) for value in held.values()):  # no addresses
        raise TypeError(f"origin must hold texts and ints; got {held!r}")
    return Weights(**held)


def packages_of(recipe: dict[str, Any]) -> list[str]:
    """Return the packages of the parts of a portable recipe, except for dichoseg."""
    parts = [value for argument, value in arguments_of(recipe) if argument in PARTS and isinstance(value, str)]
    names = map(_component_name, [recipe["name"], *parts])
    return [name.package for name in names if name is not None and name.package is not None]


def _check_packages(packages: dict[str, str | None]) -> None:
    """Raise an error unless versions of packages are texts."""
    for text in (*packages.keys(), *packages.values()):
        if not isinstance(text, str | None):
            raise TypeError(f"packages must hold names and versions; got {packages!r}")


@contextmanager
def made_with(config: Mapping[str, Any]) -> Iterator[None]:
    """Add to an error in the block which packages a saved model was made with, if others are installed."""
    try:
        yield
    except Exception as error:
        changed = [
            f"{package} {version}, {f'installed {present}' if present else 'not installed'}"
            for package, version in config.get("packages", {}).items()
            if (present := version_of(package)) != version
        ]
        if not changed or isinstance(error, OSError):
            raise
        kind = ImportError if isinstance(error, ImportError) else ValueError
        raise kind(f"{error}; made with {' and '.join(changed)}") from error


def _license_of(record: Weights) -> dict[str, Any]:
    """Return the fields of a record on a file and its license, as plain values."""
    left_out = ("addresses", "preprocessing")
    fields = dataclasses.asdict(record)
    return {name: value for name, value in fields.items() if name not in left_out and value is not None}


def _check_recipe(recipe: dict[str, Any]) -> None:
    """Raise an error unless a recipe is plain bounded data with a name, and no argument of it opens other files."""
    names = [recipe["name"], *(recipe[part] for part in PARTS if recipe.get(part) is not None)]
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"wanted a name; got {name!r}")
        check_limit("characters of a text in a recipe", len(name))
        ComponentName.parse(name)
    for part in PARTS:
        if not isinstance(recipe.get(f"{part}_args"), dict | None):
            raise TypeError(f"{part}_args must be a dict of arguments; got {recipe[f'{part}_args']!r}")
    for count, (argument, value) in enumerate(arguments_of(recipe), start=1):
        check_limit("values in a recipe", count)
        if argument in FORBIDDEN or ("pretrained" in argument and value):
            raise ValueError(f"the argument {argument!r} would open another file")
        if isinstance(value, str) and _ADDRESS.search(value):
            raise ValueError(f"{value!r} would open another file")


def arguments_of(value: Any, argument: str = "", level: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield name and value of every argument of a recipe, at any depth, also in names of components.

    Raises:
        TypeError: A value is not plain.
        ValueError: A value is beyond a limit.
    """
    check_limit("levels of a recipe", level)
    yield argument, value
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list | tuple):
        check_limit("values in a list of a recipe", len(value))
        inner = [(argument, one) for one in value]
    elif isinstance(value, str):
        check_limit("characters of a text in a recipe", len(value))
        name = _component_name(value)
        if name is not None:
            inner = [*((argument, one) for one in name.positional), *name.keywords.items()]
    elif isinstance(value, int):
        check_limit("size of an int in a recipe", abs(value))
    elif value is not None and not (isinstance(value, float) and math.isfinite(value)):
        raise TypeError(f"{argument} must be a plain value; got {value!r}")
    for key, one in inner:
        if not isinstance(key, str):
            raise TypeError(f"an argument needs a name; got {key!r}")
        yield from arguments_of(one, key, level + 1)


def _portable(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe for other machines: plugins' parts named with their package, no backbone downloaded again."""

    def portable(argument: str, value: Any) -> Any:
        if argument == "pretrained" and value:
            return False
        is_part = argument in PARTS and isinstance(value, str) and _component_name(value) is not None
        return qualified_name(PARTS[argument], value) if is_part else value

    changed: dict[str, Any] = _map_arguments(recipe, portable)
    return {**changed, "name": qualified_name("models", changed["name"])}


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
