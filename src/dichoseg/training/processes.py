"""The processes that train one model together: one, or as many as `torchrun` has started."""

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
class Processes:
    """How many processes train together, and which of them this one is; alone, every exchange is the identity.

    Args:
        rank: Number of this process, from 0.
        count: Number of processes.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank = rank
        self.count = count
        self.leads = rank == 0
        """Whether this process is the one that writes and speaks."""

    def share(self, group: Sequence[int]) -> Sequence[int]:
        """This process's part of a batch that all of them take; it may be empty."""
        return group[self.rank :: self.count]

    @property
    def key(self) -> tuple[int, ...]:
        """What a random seed needs beside the step, so that processes draw differently; the first one needs nothing."""
        return () if self.rank == 0 else (self.rank, 1)  # two, since a sample's seed has one number more as well

    def any(self, flag: bool) -> bool:
        """Whether the flag of any process is set."""
        if self.count == 1:
            return flag
        raised = torch.tensor(float(flag), device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(raised, dist.ReduceOp.MAX)  # once in each step, so nothing is pickled
        return bool(raised)

    def gather(self, own: T) -> list[T]:
        """What every process has, in their order."""
        if self.count == 1:
            return [own]
        everyone: list[T] = [own] * self.count
        dist.all_gather_object(everyone, own)
        return everyone

    def from_first(self, own: T) -> T:
        """What the first process has."""
        if self.count == 1:
            return own
        box: list[Any] = [own]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def summed(self, totals: Mapping[str, float]) -> dict[str, float]:
        """Totals of all processes, by name."""
        result: dict[str, float] = {}
        for one in self.gather(dict(totals)):
            for name, value in one.items():
                result[name] = result.get(name, 0.0) + value
        return result

    @torch.no_grad()
    def take_buffers_of_first(self, module: nn.Module) -> None:
        """Set every buffer, such as batch norm's statistics, to the first process's."""
        if self.count > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)

    def synchronised(self, module: nn.Module) -> nn.Module:
        """A module whose gradients become the mean over all processes; the same module where there is one."""
        if self.count == 1:
            return module
        # parameters that a step does not reach, such as unsupervised heads, are no error
        return DistributedDataParallel(module, find_unused_parameters=True)

    def without_exchange(self, module: nn.Module, wanted: bool) -> AbstractContextManager[Any]:
        """Where `wanted`, gradients are kept to be exchanged with a later step's."""
        return module.no_sync() if wanted and isinstance(module, DistributedDataParallel) else contextlib.nullcontext()

    def device(self, device: torch.device) -> torch.device:
        """The device of this process: of several GPUs on a machine, each process has its own."""
        if self.count == 1 or device.type != "cuda" or device.index is not None:
            return device
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", self.rank % torch.cuda.device_count())))


def leads() -> bool:
    """Whether this process is the only one, or the first of those that `torchrun` has started."""
    return dist.get_rank() == 0 if dist.is_available() and dist.is_initialized() else not _started_as()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the other processes that `torchrun` has started, if any, and leave them again.

    A process group that the program has made is used and left as it is.

    Args:
        device: What kind of device trains: GPUs exchange through NCCL, others through gloo.
    """
    if dist.is_available() and dist.is_initialized():
        processes = Processes(dist.get_rank(), dist.get_world_size())
        with _current(processes.device(device)):
            yield processes
        return
    if _started_as() is None:
        yield Processes()
        return
    store, rank, count = next(rendezvous("env://"))
    # a name of its own each time, because the store keeps the addresses of the group before
    store = PrefixStore(f"dichoseg_{next(_groups)}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    processes = Processes(dist.get_rank(), dist.get_world_size())
    try:
        with _current(processes.device(device)):
            yield processes
    finally:
        dist.destroy_process_group()


def _current(device: torch.device) -> AbstractContextManager[Any]:
    """Make a GPU the one that exchanges of objects go through."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def _started_as() -> int | None:
    """The rank that a launcher of several processes gave this one; None without such a launcher."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or "RANK" not in os.environ:
        return None
    return int(os.environ["RANK"])
