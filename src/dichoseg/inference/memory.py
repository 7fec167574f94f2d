"""Former place of `dichoseg.runtime.memory`; its name warns and works until 0.4."""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, {}, moved={"keep_memory": "runtime.memory"})
