"""Queue of uploaded photographs: wait, decode, predict, encode."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import io
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from fastapi import HTTPException
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import nn

from ..data.decoding import to_unit
from ..inference import Predictor
from ..inference.sharpening import count_views
from ..photographs.cutout import can_estimate_foreground, estimate_foreground
from ..photographs.opened import OpenedPhotograph
from ..photographs.rendering import Rendering
from ..visualize import side_outputs
from .limits import Limits
from .pool import ModelPool
from .upload import read_photograph

T = TypeVar("T")
Detail: TypeAlias = Literal["borders", "views"]
"""Refinements whose passes have the network's own size; the input of `"blend"` would grow with the photograph."""

logger = logging.getLogger(__name__)

VIEWS = 1000
"""Largest number of views of a photograph for `detail`, so that a small size cannot make many more of them."""
DECODED = 3
"""Number of photographs that are decoded at a time: one in the network, one before and one after it."""


class Job(NamedTuple):
    """Options of the network for one photograph."""

    model: str
    size: int | None = None
    detail: Detail | None = None


class Line:
    """Queue with one thread for the network, two for decoding and encoding, and a limited number of places.

    On a CPU only the network's thread computes in parallel: the OpenMP library of torch's builds for Linux lets threads
    sleep between operations once there are more of them than cores, and a network of many small operations then takes
    up to half as long again. So models are loaded in this thread, and the colors of cut-outs are estimated in one.

    Args:
        pool: Models.
        limits: Limits on requests.
        on_cpu: Whether the networks run on the CPU.
    """

    def __init__(self, pool: ModelPool, limits: Limits, *, on_cpu: bool = True) -> None:
        self.waiting = 0
        self._pool = pool
        self._limits = limits
        self._decoded = asyncio.Semaphore(DECODED)
        self._network = ThreadPoolExecutor(1, "dichoseg-network")
        self._files = ThreadPoolExecutor(2, "dichoseg-files")
        self._last_seconds = 0.0
        self._estimate_threads = 1 if on_cpu else None
        threading.Thread(target=_warm_up, args=[self._estimate_threads], daemon=True).start()

    def load(self) -> None:
        """Load all models, in the network's thread."""
        self._pool.load(self._network)

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

    async def result(self, content: bytes, job: Job, rendering: Rendering) -> bytes:
        """Return the encoded result of an uploaded photograph."""
        encode = functools.partial(_encode, rendering, self._estimate_threads)
        return await self._answer(content, job, _predict, encode)

    async def side_outputs(self, content: bytes, job: Job) -> bytes:
        """Return a PNG file of the side outputs and features for an uploaded photograph."""
        return await self._answer(content, job, _draw_side_outputs, _encode_sheet)

    async def _answer(
        self,
        content: bytes,
        job: Job,
        work: Callable[[Predictor, OpenedPhotograph], T],
        encode: Callable[[OpenedPhotograph, T], bytes],
    ) -> bytes:
        run = asyncio.get_running_loop().run_in_executor
        async with self._decoded:
            photograph = await run(self._files, read_photograph, content, self._limits.max_pixels)
            dropped = threading.Event()
            try:
                result = await run(self._network, functools.partial(self._on_network, job, work, photograph, dropped))
            finally:
                dropped.set()  # if this was cancelled, the network need not go on
            return await run(self._files, encode, photograph, result)

    def _on_network(
        self,
        job: Job,
        work: Callable[[Predictor, OpenedPhotograph], T],
        photograph: OpenedPhotograph,
        dropped: threading.Event,
    ) -> T:
        """Run a model; the one thread of the network calls this."""
        try:
            predictor = self._pool.predictor(job.model)
        except Exception as error:  # the text may hold a path
            logger.exception("%s cannot be loaded", job.model)
            message = f"the model {job.model} cannot be loaded now; the server's log says why"
            raise HTTPException(503, message) from error
        own, start = predictor.model.preprocessing, time.perf_counter()
        try:
            predictor.model.preprocessing, predictor.detail = own.with_size(job.size), job.detail
            with _stops(predictor.model, dropped):
                return work(predictor, photograph)
        except ValueError as error:  # the network cannot run at this size, or its weights are broken
            raise HTTPException(500 if job[1:] == (None, None) else 400, str(error)) from error
        except (MemoryError, torch.OutOfMemoryError) as error:
            logger.error("not enough memory for a photograph: %s", error)
            raise HTTPException(503, "not enough memory for this photograph now", {"Retry-After": "1"}) from error
        finally:
            predictor.model.preprocessing, predictor.detail = own, None
            self._last_seconds = time.perf_counter() - start


@contextmanager
def _stops(model: nn.Module, dropped: threading.Event) -> Iterator[None]:
    """Let a model stop before its next part once its work was dropped."""

    def check(module: nn.Module, inputs: object) -> None:
        if dropped.is_set():
            raise _DroppedError

    hooks = [part.register_forward_pre_hook(check) for part in model.children()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _DroppedError(Exception):
    """Nobody waits for the result."""


def _predict(predictor: Predictor, photograph: OpenedPhotograph) -> NDArray[np.float32]:
    pixels = photograph.pixels
    if predictor.detail is not None:
        height, width = pixels.shape[-2:] if isinstance(pixels, torch.Tensor) else pixels.shape[:2]
        _check_views(height, width, predictor.model.preprocessing.height_width)
    return predictor(pixels)


def _check_views(height: int, width: int, size: tuple[int, int] | None) -> None:
    if size is None:
        raise ValueError("detail needs a fixed size of the network's input, which this model does not have; give size")
    views = count_views(height, width, size)
    if views > VIEWS:
        raise ValueError(f"detail takes up to {views} views of this photograph, more than {VIEWS}: give a larger size")


def _draw_side_outputs(predictor: Predictor, photograph: OpenedPhotograph) -> PillowImage.Image:
    pixels = photograph.pixels
    image = pixels if isinstance(pixels, torch.Tensor) else to_unit(torch.from_numpy(pixels).permute(2, 0, 1))
    return side_outputs(predictor.model, image)


def _encode_sheet(photograph: OpenedPhotograph, sheet: PillowImage.Image) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _encode(
    rendering: Rendering, threads: int | None, photograph: OpenedPhotograph, probability: NDArray[np.float32]
) -> bytes:
    if rendering.cutout:
        rendering = dataclasses.replace(rendering, estimate=can_estimate_foreground(), threads=threads)
    try:
        return rendering.encoded(photograph, probability)
    except ValueError as error:  # the format cannot hold so many pixels
        raise HTTPException(400, str(error)) from error


def _warm_up(threads: int | None) -> None:
    """Compile the estimate of cut-outs' colors, which would take half a minute of the first request."""
    if can_estimate_foreground():
        estimate_foreground(np.zeros((2, 2, 3), np.uint8), np.array([[0, 255], [0, 255]], np.uint8), threads=threads)
