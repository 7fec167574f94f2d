"""Models of the service, loaded once and kept within a memory limit."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path

from torch import nn

from ..contracts import Model
from ..inference import Predictor
from ..photographs.job import check_takes_photographs
from ..records import Weights
from ..weights import load_model
from ..weights.cache import is_cached, own_path, part_of
from ..weights.catalogue import find_weights
from ..weights.fetching import fetch

logger = logging.getLogger(__name__)


class ModelPool:
    """Predictors by name. Beyond a memory limit, the least recently used is dropped, and loaded again on its next use.

    `load` loads all models once, so that a missing file is an error at the start. Only one thread may call `predictor`.

    Args:
        sources: Name -> what `load_model` takes. The first is the default model.
        prepare: Function that makes a predictor of a model.
        limit: Memory for models, in bytes. One model is kept even if it is larger.
    """

    def __init__(
        self, sources: Mapping[str, str | Path], prepare: Callable[[Model], Predictor], *, limit: float
    ) -> None:
        if not sources:
            raise ValueError("models is empty; wanted a name or several, with what load_model takes for each")
        self._sources = dict(sources)
        self._prepare = prepare
        self._limit = limit
        self._bytes: dict[str, int] = {}
        self._loaded: OrderedDict[str, Predictor] = OrderedDict()
        self._is_ready = False

    def load(self, network: Executor) -> None:
        """Load all models, the default last: it stays.

        Args:
            network: Thread that calls `predictor`. Files are downloaded in this thread, which may be abandoned.
        """
        for name in reversed(self._sources):
            record = _record_of(self._sources[name])
            if record is not None:
                fetch(record)
            network.submit(self.predictor, name).result()
        self._is_ready = True

    @property
    def loading(self) -> str | None:
        """Progress of `load` in a few words; None after it."""
        if self._is_ready:
            return None
        name = next((each for each in reversed(self._sources) if each not in self._bytes), self.names[0])
        return _download_of(self._sources[name], name) or f"loading {name}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models; the first is the default."""
        return tuple(self._sources)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory, the least recently used first."""
        return tuple(self._loaded)

    @property
    def bytes(self) -> int:
        """Memory of the loaded models, in bytes."""
        return sum(self._bytes[name] for name in self.loaded)

    def predictor(self, name: str) -> Predictor:
        """Return the predictor of a model, which is loaded if need be."""
        if name not in self._loaded:
            self._drop(self._limit - self._bytes.get(name, 0), keep=0)
            model = load_model(self._sources[name])
            predictor = self._prepare(model)
            check_takes_photographs(predictor)
            self._bytes[name] = _bytes_of(model) + _bytes_of(predictor.model)  # a predictor keeps both
            self._loaded[name] = predictor
            logger.info("loaded %s, %.2f GB", name, self._bytes[name] / 1e9)
        self._loaded.move_to_end(name)
        self._drop(self._limit, keep=1)
        return self._loaded[name]

    def _drop(self, limit: float, *, keep: int) -> None:
        """Drop the least recently used models until the others fit into a limit."""
        while len(self._loaded) > keep and self.bytes > limit:
            name, _ = self._loaded.popitem(last=False)
            logger.info("dropped %s, to stay within the memory for models", name)


def _record_of(source: str | Path) -> Weights | None:
    """Return the record of published weights, if a source names some."""
    return None if Path(source).exists() else find_weights(str(source))


def _download_of(source: str | Path, name: str) -> str | None:
    """Return how much of a model has been downloaded; None if it is on this machine."""
    record = _record_of(source)
    if record is None or is_cached(record):
        return None
    part = part_of(own_path(record))  # the hub's client has its own
    done = f"{part.stat().st_size / 1e6:.0f} of " if part.exists() else ""
    return f"downloading {name}, {done}{record.megabytes} MB"


def _bytes_of(model: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))
