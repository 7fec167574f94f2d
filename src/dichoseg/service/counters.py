"""Figures about the service, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Counters:
    """Figures of one application.

    Args:
        waiting: Function that returns the number of requests that wait or are in work.
        model_bytes: Function that returns the memory of the loaded models.
    """

    def __init__(self, *, waiting: Callable[[], float], model_bytes: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("path", "status")
        self._requests = Counter("dichoseg_requests", "Answered requests.", labels, registry=registry)
        self._seconds = Histogram(
            "dichoseg_request_seconds", "Time from request to answer.", ("path",), buckets=SECONDS, registry=registry
        )
        Gauge("dichoseg_waiting", "Photographs that wait or are in work.", registry=registry).set_function(waiting)
        Gauge("dichoseg_model_bytes", "Memory of the models.", registry=registry).set_function(model_bytes)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """Return all figures in Prometheus's format, with memory and CPU time of the process."""
        return generate_latest(self._registry)
