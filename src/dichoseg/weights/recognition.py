"""Recognize the published network that a file holds."""

from __future__ import annotations

import logging

import torch

from ..models.make import make_model
from ..records import Published
from .matching import best_match, explained_keys, published_records, weights_of
from .reading import StoredWeights

logger = logging.getLogger(__name__)


def looks_like(stored: StoredWeights) -> tuple[str | None, bool]:
    """Return the name of the published network that a file holds, and whether all of it fits.

    The name is None if no network fits most of the file. Candidates are ranked by the file's keys, and built, without
    memory for their weights, only until one fits in keys and shapes: a network with other keys is never built.
    """
    best, name, size = None, None, 1
    failure = None
    for candidate in _candidates(stored):
        try:
            with torch.device("meta"):
                model = make_model(candidate)
            differences = best_match(model, stored).differences
        except Exception as error:  # a plugin may fail in any way, which must not hide the other networks
            logger.warning("%s is not compared with %r: %s: %s", stored.path, candidate, type(error).__name__, error)
            failure = failure or error
            continue
        if best is None or differences < best:
            best, name, size = differences, candidate, len(weights_of(model))
        if best == 0:
            break
    if best is not None and best <= size // 2:
        return name, best == 0
    if isinstance(failure, ValueError):  # such as a conversion that fails: likely the network that the file holds
        raise failure
    return None, False


def _candidates(stored: StoredWeights) -> list[str]:
    """Return the networks at least half of whose names the file has, the best first."""
    is_numbered = any(layer.name is None for layer in stored.layers)
    scores = {}
    for name, record in published_records():
        explained, absent = _coverage(stored, record)
        if explained >= absent or (is_numbered and record.in_order):
            scores[name] = explained - absent
    return sorted(scores, key=lambda name: -scores[name])


def _coverage(stored: StoredWeights, record: Published) -> tuple[int, int]:
    """Return how many modules of a file a network's names explain, and how many of the names the file lacks.

    These are the authors' names or dichoseg's own.
    """
    own = Published(names={ours: ours for ours in record.names.values()})
    explained = max(len(explained_keys(stored, names)) for names in (record, own))
    return explained, len(record.names) - explained
