"""Arguments of a network that its files of weights do not show."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..records import Weights
from ..registry import ComponentName, load_component
from .catalogue import list_weights
from .matching import published_record
from .reading import StoredWeights


def unstated_arguments(
    name: str,
    given: Mapping[str, Any],
    stored: StoredWeights,
    *,
    record: Weights | None = None,
    config: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the arguments that a network needs for a file and the file does not show, as its record states them.

    Those in the name are left out.

    Args:
        name: Name of the network, with or without arguments.
        given: Arguments that the caller gave, besides those in the name.
        stored: Contents of the file.
        record: Record of published weights that the file holds. Default: looked up by its checksum.
        config: Configuration that comes with the file, if any.

    Raises:
        ValueError: No record states one and none is given, or the given value is another one; or the file holds another
            version of the network.
    """
    wanted = ComponentName.parse(name)
    published = published_record(wanted.name)
    given = {**wanted.keywords, **given}
    if published is None:
        return {}
    if config is None and published.refuse is not None and (reason := published.refuse(stored.state)):
        raise ValueError(f"{stored.path} {reason}")
    if not published.unstated:
        return {}
    if config is not None:
        stated = config["recipe"] or {}
        if stated:  # what the recipe leaves out has its default
            stated = {argument: default_of(wanted.name, argument) for argument in published.unstated} | stated
    else:
        known = record or known_record(stored.path, wanted.name)
        stated = {} if known is None else ComponentName.parse(known.network).keywords
    arguments = {}
    for argument, hint in published.unstated.items():
        if argument in stated:
            if argument not in wanted.keywords:
                arguments[argument] = stated[argument]
            if not is_same(given.get(argument, stated[argument]), stated[argument]):
                raise ValueError(f"{stored.path} needs {argument}={stated[argument]!r}; got {given[argument]!r}")
        elif config is None and argument not in given:
            others = "".join(f"{key}={value!r}, " for key, value in given.items())
            raise ValueError(
                f"{stored.path} holds weights of {wanted.name}, but neither it nor a record says their {argument}: "
                f"{hint}; create_model({wanted.name!r}, {others}{argument}=..., weights=...), or convert_weights with "
                f'name="{wanted.name}({others}{argument}=...)"'
            )
    return arguments


def default_of(name: str, argument: str) -> Any:
    """Return the default value of an argument of a network."""
    return inspect.signature(load_component("models", name)).parameters[argument].default


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values of an argument are the same; in a file, a tuple is a list."""
    return json.dumps(one) == json.dumps(other)


def known_record(path: Path, network: str) -> Weights | None:
    """Return the record of published weights that a file holds, by its checksum; None if there is none."""
    size = path.stat().st_size
    digests: dict[str, str] = {}
    for record in list_weights().values():
        if ComponentName.parse(record.network).name != network or record.bytes not in (None, size):
            continue
        algorithm, digits = record.checksum
        if algorithm not in digests:
            with path.open("rb") as file:
                digests[algorithm] = hashlib.file_digest(file, algorithm).hexdigest()
        if digests[algorithm] == digits:
            return record
    return None
