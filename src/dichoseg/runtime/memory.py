"""Memory of a process with large tensors: reuse, out-of-memory errors and peak usage."""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
from pathlib import Path, PurePosixPath

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_LARGEST = 2**31 - 1


def keep_memory() -> bool:
    """Make the C library keep the memory of freed tensors for reuse, instead of returning it to the system.

    On a CPU under Linux, fresh memory for the large tensors of one photograph costs a quarter of its time: IS-Net at
    1024 pixels takes 1.1 instead of 0.8 s in bfloat16, and 2.2 instead of 1.6 s in float32. All threads share one heap,
    since the others hold at most 64 MB, and larger tensors would always be fresh memory. The setting holds for the
    whole process until it ends, so only a program should call this, as `dichoseg predict` and `dichoseg train` do. The
    process keeps the memory that one photograph needs, 0.3 to 0.5 GB more for IS-Net.

    Returns:
        Whether the C library accepted all settings: glibc does; others, and other systems, are not changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {_MMAP_THRESHOLD: _LARGEST, _TRIM_THRESHOLD: _LARGEST, _TOP_PAD: 64 * 2**20, _ARENA_MAX: 1}
    taken = [mallopt(option, value) == 1 for option, value in settings.items()]  # all, even after one is refused
    return all(taken)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error of torch means that a device or the CPU ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or lacking_on_cpu(error) is not None


def lacking_on_cpu(error: RuntimeError) -> str | None:
    """Return torch's text about missing CPU memory, which has no error class of its own; None for other errors."""
    _, found, lacking = str(error).partition("DefaultCPUAllocator: ")
    return lacking if found else None


def most_memory_used(device_type: str) -> float:
    """Return the peak memory usage in GB: allocated by torch on a GPU, else of the whole process."""
    if device_type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    if sys.platform.startswith("linux"):  # where `resource` includes the memory of the process that started this one
        status = Path("/proc/self/status").read_text()
        if found := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
            return int(found[1]) * 1024 / 1e9
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def memory_in_use() -> float:
    """Return the current memory of the process in GB, or its peak if the system does not report the current value."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux
        return most_memory_used("cpu")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def memory_limit(root: Path = Path("/")) -> float:
    """Return the memory in GB that the process may use: the machine's, or its control group's limit if that is lower.

    Args:
        root: Folder that holds `proc` and `sys`.
    """
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError):  # Windows
        limits = []
    for file in _limit_files(root):
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return min(limits) / 1e9 if limits else math.nan


def _limit_files(root: Path) -> list[Path]:
    """Return the files that may hold the limits of the process's control groups and of those around them."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    files = []
    for _, controllers, path in (line.split(":", 2) for line in groups):
        if controllers and "memory" not in controllers.split(","):
            continue
        folder = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        inside = PurePosixPath(path.strip("/"))
        files += [folder / group / name for group in (inside, *inside.parents)]
    return files
