"""Ranks that train one model together: a single process, or those that `torchrun` started."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, final

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")
_groups = itertools.count()


@final
class Ranks:
    """Communication between the processes of a run; every operation is the identity in a single process.

    Args:
        rank: Index of this process.
        world_size: Number of processes.
    """

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank = rank
        self.world_size = world_size
        self.is_first = rank == 0
        """True if this rank writes files, logs and calls `on_epoch`."""

    def share(self, batch: Sequence[T]) -> Sequence[T]:
        """Return this rank's part of a global batch, which may be empty."""
        return batch[self.rank :: self.world_size]

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set on any rank."""
        if self.world_size == 1:
            return flag
        raised = torch.tensor(float(flag), device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(raised, dist.ReduceOp.MAX)  # called at each step, so nothing is pickled
        return bool(raised)

    def gather(self, own: T) -> list[T]:
        """Return the objects of all ranks, in their order."""
        if self.world_size == 1:
            return [own]
        everyone: list[T] = [own] * self.world_size
        dist.all_gather_object(everyone, own)
        return everyone

    def from_first(self, own: T) -> T:
        """Return the first rank's object."""
        if self.world_size == 1:
            return own
        box: list[Any] = [own]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def sum(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Return the totals of all ranks, summed by name."""
        result: dict[str, float] = {}
        for one in self.gather(dict(totals)):
            for name, value in one.items():
                result[name] = result.get(name, 0.0) + value
        return result

    @torch.no_grad()
    def copy_buffers_of_first(self, module: nn.Module) -> None:
        """Set every buffer, such as a running mean, to the first rank's."""
        if self.world_size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are averaged over the ranks."""
        if self.world_size == 1:
            return module
        # some parameters may not be reached by the loss, such as those of unsupervised heads
        return DistributedDataParallel(module, find_unused_parameters=True)

    def device(self, device: torch.device) -> torch.device:
        """Return the device of this rank: each one on a machine with several GPUs has its own."""
        if self.world_size == 1 or device.type != "cuda" or device.index is not None:
            return device
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", self.rank % torch.cuda.device_count())))


def launched() -> Ranks:
    """Return the ranks of the process group, or else those that a launcher such as `torchrun` announces."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    if world_size < 2 or "RANK" not in os.environ:
        return Ranks()
    return Ranks(int(os.environ["RANK"]), world_size)


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the process group inside the block; an existing one is used and left as it is.

    Args:
        device: Device of the training. GPUs communicate through NCCL, others through gloo.
    """
    ranks = launched()
    owns_group = ranks.world_size > 1 and not dist.is_initialized()
    if owns_group:
        store, rank, world_size = next(rendezvous("env://"))
        # a new prefix each time, because the store keeps the addresses of an earlier group
        store = PrefixStore(f"dichoseg_{next(_groups)}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    own = ranks.device(device)
    try:
        with torch.cuda.device(own) if own.type == "cuda" else contextlib.nullcontext():  # objects go through it
            yield ranks
    finally:
        if owns_group:
            dist.destroy_process_group()


def without_sync(module: nn.Module, wanted: bool) -> AbstractContextManager[Any]:
    """Accumulate gradients inside the block, if wanted, without averaging them over the ranks."""
    return module.no_sync() if wanted and isinstance(module, DistributedDataParallel) else contextlib.nullcontext()
