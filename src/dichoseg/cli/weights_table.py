"""Tables and records of published weights, for `dichoseg list weights`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from ..records import HUB_ADDRESS, Weights
from ..weights.cache import is_cached, own_path

COLUMNS = ("name", "network", "MB", "license", "commercial", "cached", "purpose", "file")


def table(records: Sequence[Weights]) -> str:
    """Return a line for each record, below a header."""
    rows = [COLUMNS]
    for record in records:
        cached = "yes" if is_cached(record) else "no"
        license = record.license or "not stated"
        rows.append(
            (
                record.name,
                record.network,
                record.megabytes,
                license,
                record.commercial,
                cached,
                record.purpose,
                record.file,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def description(record: Weights) -> str:
    """Return every field of a record in a line of its own."""
    algorithm, digits = record.checksum
    changes = [f"{field} {value}" for field, value in record.preprocessing.items()]
    lines = {
        "network": record.network,
        "purpose": record.purpose,
        "file": record.file,
        "size": f"{record.megabytes} MB" if record.bytes is None else f"{record.bytes:,} bytes",
        algorithm: digits,
        "license": record.license or "not stated",
        "stated by": record.license_source or "unknown",
        "commercial use": record.commercial,
        "training data": record.training_data,
        "seen test sets": record.seen_test_sets or "not stated",
        "preprocessing": ", ".join(["the network's own", *changes]),
        "paper": record.paper or "unknown",
        "tested": record.tested,
        "cached": "yes" if is_cached(record) else "no",
    }
    addresses = [f"  {web_address(address)}" for address in record.addresses] or ["  none: a mirror or your own copy"]
    return "\n".join(
        [record.name, *(f"  {label}: {value}" for label, value in lines.items()), "addresses, in order", *addresses]
    )


def by_hand(record: Weights) -> str:
    """Return the addresses, checksum and place of a file, for a download without dichoseg."""
    algorithm, digits = record.checksum
    return "\n".join([*map(web_address, record.addresses), f"  {algorithm} {digits}", f"  to {own_path(record)}"])


def as_json(records: Sequence[Weights]) -> str:
    """Return the records as a JSON list of objects."""
    return json.dumps([{**dataclasses.asdict(record), "cached": is_cached(record)} for record in records], indent=2)


def web_address(address: str) -> str:
    """Return an address as a browser takes it."""
    at = HUB_ADDRESS.fullmatch(address)
    return address if at is None else f"https://huggingface.co/{at['repo']}/resolve/{at['revision']}/{at['file']}"
