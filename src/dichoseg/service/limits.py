"""Limits of the service, so that neither requests nor models use up the machine."""

from __future__ import annotations

import dataclasses

from ..checking import number, whole
from ..runtime.memory import memory_limit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the service.

    Args:
        memory: Memory for models, in GB. Beyond it, the least recently used model is dropped, and loaded again when a
            request names it. One model is always kept. Default: half of what the process may use.
        queue: Number of requests that may wait or be in work. Beyond it, the answer is 429.
        timeout: Seconds that an upload may take, and then again the wait and the work.
        max_bytes: Largest upload in bytes. All uploads in memory together may have `queue` times as many.
        max_pixels: Largest number of pixels of a photograph, each of which takes 16 bytes of memory.
        max_size: Largest side of the network's input that a request may ask for, in pixels.
    """

    memory: float | None = None
    queue: int = 16
    timeout: float = 60
    max_bytes: int = 32_000_000
    max_pixels: int = 50_000_000
    max_size: int = 2048

    def __post_init__(self) -> None:
        """Check the values."""
        if self.memory is not None:
            number("memory", self.memory)
        whole("queue", self.queue, least=1)
        number("timeout", self.timeout, low=0.1)
        for name in ("max_bytes", "max_pixels", "max_size"):
            whole(name, getattr(self, name), least=1)

    @property
    def model_bytes(self) -> float:
        """Memory for models, in bytes."""
        return (memory_limit() / 2 if self.memory is None else self.memory) * 1e9
