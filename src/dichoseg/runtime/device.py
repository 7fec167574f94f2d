"""Choice of device and precision."""

from __future__ import annotations

import logging
from typing import Any, Literal, TypeAlias

import torch

logger = logging.getLogger(__name__)

Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16", "int8"]
"""Precisions of inference; torch has no int8."""
TrainingPrecision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
"""Precisions of training; float16 needs a gradient scaler."""
FAST_FLOAT16 = (7, 0)
"""First compute capability of CUDA GPUs with tensor cores, such as V100 and T4; older ones are slow in float16."""


def choose_device(device: str | torch.device | None, home: torch.device) -> torch.device:
    """Return the requested device; by default CUDA, else Apple's MPS if available, else `home`.

    Raises:
        ValueError: torch cannot use the requested device here.
    """
    if device is not None:
        return usable_device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else home


def usable_device(device: str | torch.device) -> torch.device:
    """Return a device by its name; raise a one-line ValueError if torch does not know it or cannot use it here."""
    try:
        found = torch.device(device)
    except RuntimeError:  # torch's own message lists twenty device types
        raise ValueError(f"device must be one such as cpu, cuda, cuda:1 or mps; got {device!r}") from None
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"torch cannot use device {found} here: {str(error).splitlines()[0].partition('. ')[0]}"
        ) from None
    return found


def inference_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the dtype that a precision means on a device, in inference.

    `"auto"` is bfloat16 if the hardware has it natively, float16 on other CUDA GPUs with tensor cores, else float32.

    Raises:
        ValueError: Unknown precision, or float16 on another device than a CUDA GPU.
    """
    if precision == "float16":
        if device.type != "cuda":
            raise ValueError(f"precision='float16' is for CUDA GPUs; use bfloat16 or float32 on {device}")
        return torch.float16
    if uses_bfloat16(precision, device):
        return torch.bfloat16
    if precision == "auto" and device.type == "cuda" and torch.cuda.get_device_capability(device) >= FAST_FLOAT16:
        return torch.float16
    return torch.float32


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Return whether a precision means bfloat16 on a device; `"auto"` does if the hardware has it natively.

    Raises:
        ValueError: Unknown precision.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision must be auto, float32, bfloat16 or float16; got {precision!r}")
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = _cpu_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return False


def autocast_dtype(precision: TrainingPrecision, device: torch.device) -> torch.dtype | None:
    """Return the autocast dtype that a precision means on a device; None for float32.

    Raises:
        ValueError: Unknown precision.
    """
    if precision == "float16":
        return torch.float16
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision must be auto, float32, bfloat16 or float16; got {precision!r}")
    return torch.bfloat16 if uses_bfloat16(precision, device) else None


def training_layout(device: torch.device) -> torch.memory_format:
    """Return the layout in which networks train fastest: channels-last on CUDA GPUs and on CPUs.

    It is the contiguous one on CPUs with AVX2 and without wider vectors: there, gradients of kernels take 2 to 3.5
    times as long in channels-last layout.
    """
    is_faster = device.type in ("cpu", "cuda") and not is_avx2_cpu(device)
    return torch.channels_last if is_faster else torch.contiguous_format


def is_avx2_cpu(device: torch.device) -> bool:
    """Return whether a device is a CPU with AVX2 and without wider vectors."""
    return device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"


def warn_of_emulation(dtype: torch.dtype | None, device: torch.device) -> None:
    """Warn of bfloat16 on an x86 CPU without instructions for it, where convolutions take about ten times as long."""
    is_x86 = device.type == "cpu" and _cpu_capabilities().get("architecture") == "x86_64"
    if dtype == torch.bfloat16 and is_x86 and not uses_bfloat16("auto", device):
        logger.warning(
            "this CPU has no bfloat16 instructions, and takes about ten times as long as in float32, "
            "which precision='auto' chooses here"
        )


def _cpu_capabilities() -> dict[str, Any]:
    """Return torch's table of the CPU's instructions; nothing before torch 2.7."""
    return dict(torch.cpu.get_capabilities()) if hasattr(torch.cpu, "get_capabilities") else {}
