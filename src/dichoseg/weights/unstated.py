"""Arguments of a network that its files of weights do not show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..records import Weights
from ..registry import ComponentName
from .catalogue import list_weights
from .matching import published_records
from .sources import Source


def unstated_arguments(
    name: str, given: Mapping[str, Any], found: Source, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the arguments that a network needs for a file and the file does not show, as its record states them.

    Those in the name are left out.

    Args:
        name: Name of the network, with or without arguments.
        given: Arguments that the caller gave, besides those in the name.
        found: The file. Without a record, its checksum is looked up in those of all published weights.
        config: Configuration that comes with the file, if any.

    Raises:
        ValueError: No record states one and none is given, or the given value is another one.
    """
    wanted = ComponentName.parse(name)
    record = published_records().get(wanted.name)
    given = {**wanted.keywords, **given}
    if record is None or not record.unstated:
        return {}
    if config is not None:
        stated = config["recipe"] or {}
    else:
        known = found.record or known_record(found.file, wanted.name)
        stated = {} if known is None else ComponentName.parse(known.network).keywords
    arguments = {}
    for argument, hint in record.unstated.items():
        if argument in stated:
            if argument not in wanted.keywords:
                arguments[argument] = stated[argument]
            if json.dumps(given.get(argument, stated[argument])) != json.dumps(stated[argument]):  # a tuple is a list
                raise ValueError(f"{found.file} needs {argument}={stated[argument]!r}; got {given[argument]!r}")
        elif config is None and argument not in given:
            raise ValueError(
                f"{found.file} holds weights of {wanted.name}, but neither it nor a record says their {argument}: "
                f"{hint}; create_model({wanted.name!r}, {argument}=..., weights=...), or convert_weights with "
                f'name="{wanted.name}({argument}=...)"'
            )
    return arguments


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
