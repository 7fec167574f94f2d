"""Former location of `dichoseg.runtime.memory`; its name works, with a warning, until 0.4."""

from .._lazy import attach

__getattr__, __dir__ = attach(__name__, moved={"runtime.memory": "keep_memory"})
