"""Queue of uploaded photographs: wait, decode, predict, encode."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from fastapi import HTTPException
from numpy.typing import NDArray

from ..photographs.cutout import can_estimate_foreground, estimate_foreground
from ..photographs.opened import OpenedPhotograph
from ..photographs.rendering import Rendering
from .limits import Limits
from .pool import ModelPool
from .upload import read_photograph

logger = logging.getLogger(__name__)

DECODED = 3
"""Number of photographs that are decoded at a time: one in the network, one before and one after it."""


class Line:
    """Queue with one thread for the network, two for decoding and encoding, and a limited number of places."""

    def __init__(self, pool: ModelPool, limits: Limits) -> None:
        self.waiting = 0
        self._pool = pool
        self._limits = limits
        self._decoded = asyncio.Semaphore(DECODED)
        self._network = ThreadPoolExecutor(1, "dichoseg-network")
        self._files = ThreadPoolExecutor(2, "dichoseg-files")
        self._last_seconds = 0.0
        threading.Thread(target=_warm_up, daemon=True).start()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Occupy a place in the queue inside the block; raise an HTTPException if there is none."""
        self.check_place()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    def check_place(self) -> None:
        """Raise an HTTPException if the queue is full."""
        if self.waiting >= self._limits.queue:
            seconds = max(1, math.ceil(self.waiting * self._last_seconds))
            message = f"{self.waiting} requests are waiting, and no more may; try again in {seconds} s"
            raise HTTPException(429, message, {"Retry-After": str(seconds)})

    async def result(self, content: bytes, model: str, size: int | None, rendering: Rendering) -> bytes:
        """Return the encoded result of an uploaded photograph."""
        run = asyncio.get_running_loop().run_in_executor
        async with self._decoded:
            photograph = await run(self._files, read_photograph, content, self._limits.max_pixels)
            predict = functools.partial(self._predict, photograph, model, size)
            probability = await run(self._network, predict)
            return await run(self._files, _encode, rendering, photograph, probability)

    def _predict(self, photograph: OpenedPhotograph, model: str, size: int | None) -> NDArray[np.float32]:
        """Predict a photograph; the one thread of the network calls this."""
        try:
            predictor = self._pool.predictor(model)
        except Exception as error:  # the text may hold a path
            logger.exception("%s cannot be loaded", model)
            raise HTTPException(503, f"the model {model} cannot be loaded now; the server's log says why") from error
        own = predictor.model.preprocessing
        start = time.perf_counter()
        try:
            predictor.model.preprocessing = own.with_size(size)
            return predictor(photograph.pixels)
        except ValueError as error:  # the network cannot run at this size, or its weights are broken
            raise HTTPException(500 if size is None else 400, str(error)) from error
        except (MemoryError, torch.OutOfMemoryError) as error:
            logger.error("not enough memory for a photograph: %s", error)
            raise HTTPException(503, "not enough memory for this photograph now", {"Retry-After": "1"}) from error
        finally:
            predictor.model.preprocessing = own
            self._last_seconds = time.perf_counter() - start


def _encode(rendering: Rendering, photograph: OpenedPhotograph, probability: NDArray[np.float32]) -> bytes:
    if rendering.cutout:
        rendering = dataclasses.replace(rendering, estimate=can_estimate_foreground())
    try:
        return rendering.encoded(photograph, probability)
    except ValueError as error:  # the format cannot hold so many pixels
        raise HTTPException(400, str(error)) from error


def _warm_up() -> None:
    """Compile the estimate of cut-outs' colors, which would take half a minute of the first request."""
    if can_estimate_foreground():
        estimate_foreground(np.zeros((2, 2, 3), np.uint8), np.array([[0, 255], [0, 255]], np.uint8))
