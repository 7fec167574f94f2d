"""Processes that `torchrun` started and that share the files of one command."""

from __future__ import annotations

import functools
import os
import pickle
import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

    from ..inference.exported import Runtime
    from ..runtime.device import Precision

T = TypeVar("T")
SECONDS = 0.2
"""Time between two looks for what another process gives."""


def own_part() -> tuple[int, int]:
    """Return the rank of this process and the number of processes; (0, 1) without a launcher."""
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    return (int(os.environ["RANK"]), world_size) if world_size > 1 and "RANK" in os.environ else (0, 1)


def is_first() -> bool:
    """Return whether this process prints the results of all."""
    return own_part()[0] == 0


def own_device(device: torch.device) -> torch.device:
    """Return the device of this process: each one on a machine with several GPUs has its own."""
    if own_part()[1] == 1:
        return device
    from ..training.ranks import launched

    return launched().device(device)


def predictor_device(device: str | None, runtime: Runtime | None, precision: Precision) -> torch.device | str | None:
    """Return the device for a `Predictor` of this process; another runtime than torch checks the given one itself."""
    import torch

    from ..inference.exported import default_runtime
    from ..runtime.device import choose_device

    if (runtime or default_runtime(precision)) != "torch":
        return device
    return own_device(choose_device(device, torch.device("cpu")))


def gather(name: str, own: T) -> list[T]:
    """Return the objects of all processes, in their order, in the first process, which waits for them; else none.

    It needs no process group, so that a process may take hours longer than another. If one of them dies, the launcher
    ends the others.

    Args:
        name: Name of the objects, another for each call.
        own: Object of this process.
    """
    rank, world_size = own_part()
    if world_size == 1:
        return [own]
    _give(f"{name}_{rank}", own)
    return [_take(f"{name}_{other}") for other in range(world_size)] if rank == 0 else []


def from_first(name: str, own: T) -> T:
    """Return the first process's object, for which the others wait."""
    rank, world_size = own_part()
    if world_size == 1:
        return own
    if rank == 0:
        _give(name, own)
    return own if rank == 0 else _take(name)


def _give(key: str, value: object) -> None:
    _store().set(key, pickle.dumps(value))


def _take(key: str) -> Any:
    while not _store().check([key]):  # rather than `get`, which has a time limit and cannot be interrupted
        time.sleep(SECONDS)
    return pickle.loads(_store().get(key))


@functools.cache
def _store() -> Any:
    """Return the launcher's store of keys and values."""
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, *_ = next(rendezvous("env://"))
    return PrefixStore("dichoseg", store)
