"""Former location of `dichoseg.runtime.memory`; its name works, with a warning, until 0.4."""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {}, moved={"keep_memory": "runtime.memory"})
