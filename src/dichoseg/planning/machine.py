"""Description of the machine that a run trains on."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from ..runtime.device import choose_device, uses_bfloat16
from ..runtime.memory import memory_limit


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Device, cores and memory that a process may use; memory in GB of 1e9 bytes."""

    device: str
    """torch's name of the device, such as `cuda:0`."""
    name: str
    """Name of the GPU, or of the CPU's architecture."""
    cores: int
    """Number of CPU cores that the process may run on."""
    memory_gb: float
    """Memory of the machine, or the limit of the control group (a container's) if it is lower."""
    gpu_memory_gb: float | None
    """Memory of the GPU; None without CUDA."""
    bfloat16: bool
    """True if the device computes in bfloat16 natively; `precision="auto"` then uses it."""

    @property
    def training_memory_gb(self) -> float:
        """Memory that bounds training: the GPU's if there is one."""
        return self.memory_gb if self.gpu_memory_gb is None else self.gpu_memory_gb


def describe_machine(device: str | torch.device | None = None) -> Machine:
    """Describe the machine as `fit` would use it.

    Args:
        device: Device to train on. Default: CUDA, else Apple's MPS if available, else the CPU.
    """
    chosen = choose_device(device, torch.device("cpu"))
    gpu = torch.cuda.get_device_properties(chosen) if chosen.type == "cuda" else None
    return Machine(
        device=str(chosen),
        name=os.uname().machine if gpu is None and hasattr(os, "uname") else getattr(gpu, "name", chosen.type),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=memory_limit(),
        gpu_memory_gb=None if gpu is None else gpu.total_memory / 1e9,
        bfloat16=uses_bfloat16("auto", chosen),
    )
