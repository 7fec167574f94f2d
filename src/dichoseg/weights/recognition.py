"""Recognize the published network that a file holds."""

from __future__ import annotations

import torch

from ..models.make import make_model
from ..records import Published
from .matching import best_match, explained_keys, published_records, weights_of
from .reading import StoredWeights


def looks_like(stored: StoredWeights) -> tuple[str | None, bool]:
    """Return the name of the published network that a file holds, and whether all of it fits.

    The name is None if no network fits most of the file. Candidates are ranked by the file's keys, and built, without
    memory for their weights, only until one fits in keys and shapes: a network with other keys is never built.
    """
    best, name, size = None, None, 1
    for candidate in _candidates(stored):
        with torch.device("meta"):
            model = make_model(candidate)
        differences = best_match(model, stored).differences
        if best is None or differences < best:
            best, name, size = differences, candidate, len(weights_of(model))
        if best == 0:
            break
    return (None, False) if best is None or best > size // 2 else (name, best == 0)


def _candidates(stored: StoredWeights) -> list[str]:
    """Return the networks whose names explain some of a file's keys, the best first."""
    is_numbered = any(layer.name is None for layer in stored.layers)
    scores = {}
    for name, record in published_records().items():
        explained, absent = _coverage(stored, record)
        if explained or (is_numbered and record.in_order):
            scores[name] = explained - absent
    return sorted(scores, key=lambda name: -scores[name])


def _coverage(stored: StoredWeights, record: Published) -> tuple[int, int]:
    """Return how many modules of a file a network's names explain, and how many of the names the file lacks.

    These are the authors' names or dichoseg's own.
    """
    own = Published(names={ours: ours for ours in record.names.values()})
    explained = max(len(explained_keys(stored, names)) for names in (record, own))
    return explained, len(record.names) - explained
