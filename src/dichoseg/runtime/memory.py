"""Memory of a process whose tensors are large: what is freed is kept for the next ones, and what was too much."""

from __future__ import annotations

import ctypes
import sys

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST = 2**31 - 1


def keep_memory() -> bool:
    """Let the C library keep the memory of freed tensors, rather than give it back and fetch it anew each time.

    On a CPU under Linux, fresh memory for the large tensors of one photograph costs a third of its time. This changes
    how the whole process allocates, for as long as it lives, so it is the program's to call, as `dichoseg predict` and
    `dichoseg train` do; nothing else in the library calls it. The process keeps what one photograph needs.

    Returns:
        Whether the C library took all of it: glibc does; others, and other systems, are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {_MMAP_THRESHOLD: _LARGEST, _TRIM_THRESHOLD: _LARGEST, _TOP_PAD: 64 * 2**20}
    taken = [mallopt(option, value) == 1 for option, value in settings.items()]  # each, also after one is refused
    return all(taken)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch's error says that a device's memory, or the CPU's, was not enough."""
    return isinstance(error, torch.OutOfMemoryError) or lacking_on_cpu(error) is not None


def lacking_on_cpu(error: RuntimeError) -> str | None:
    """What torch could not have of the CPU's memory, for which it has no error of its own; None for another error."""
    _, found, lacking = str(error).partition("DefaultCPUAllocator: ")
    return lacking if found else None


def most_memory_used(device_type: str) -> float:
    """The most memory that was in use at a time, in GB: of a GPU what torch had allocated, else the whole process's."""
    if device_type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
