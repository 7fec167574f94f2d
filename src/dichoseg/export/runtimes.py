"""Runtimes that run an exported file on the CPU: onnxruntime and OpenVINO."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, get_args

import torch
from packaging.version import Version
from torch import Tensor

from ..contracts import Image
from ..runtime.files import write_atomically
from .deform_conv import DeformConvForm

if TYPE_CHECKING:
    import openvino

T = TypeVar("T")
FileRuntime: TypeAlias = Literal["onnxruntime", "openvino"]
Run: TypeAlias = Callable[[Image], Tensor]
EXTRAS: dict[FileRuntime, str] = {"onnxruntime": "onnx", "openvino": "openvino"}
"""Extra of dichoseg that installs a runtime."""
NATIVE_DEFORM_CONV = Version("1.25")
"""First onnxruntime that runs ONNX's `DeformConv` on a CPU; OpenVINO does not."""


def check_installed(runtime: FileRuntime) -> None:
    """Raise a ModuleNotFoundError that says how to install a runtime, if it or onnx is missing."""
    try:
        for module in ("onnx", runtime):
            importlib.import_module(module)
    except ImportError as error:
        extra = EXTRAS[runtime]
        raise ModuleNotFoundError(
            f"writing .onnx files for {runtime} needs onnx and {runtime}: pip install 'dichoseg[{extra}]'"
        ) from error


def installed_runtimes() -> list[FileRuntime]:
    """Return the runtimes that are installed."""
    found: list[FileRuntime] = []
    for runtime in get_args(FileRuntime):
        with contextlib.suppress(ModuleNotFoundError):
            check_installed(runtime)
            found.append(runtime)
    return found


def runtime_version(runtime: FileRuntime) -> str:
    """Return the version of an installed runtime, such as `2026.4.1`."""
    version: str = importlib.import_module(runtime).__version__
    return version.partition("-")[0]


def form_for(runtime: FileRuntime) -> DeformConvForm:
    """Return the form of deformable convolutions that an installed runtime runs."""
    is_native = runtime == "onnxruntime" and Version(runtime_version(runtime)) >= NATIVE_DEFORM_CONV
    return "native" if is_native else "grid_sample"


def open_file(runtime: FileRuntime, content: bytes, *, bfloat16: bool = False, compiled: Path | None = None) -> Run:
    """Return a function that runs an exported file on an image, with torch's present number of threads.

    Args:
        runtime: Installed runtime.
        content: Content of the file.
        bfloat16: Whether OpenVINO computes in bfloat16.
        compiled: File that keeps OpenVINO's compiled model, which opens faster; written if missing or unusable.

    Raises:
        RuntimeError: The runtime cannot open the file, or, from the function, not run it; the message has its reason,
            such as the operator that it lacks.
    """

    def open_it() -> Run:
        return _onnxruntime(content) if runtime == "onnxruntime" else _openvino(content, bfloat16, compiled)

    run = _explain(runtime, open_it)
    return lambda image: _explain(runtime, lambda: run(image.contiguous()))


def _explain(runtime: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as error:  # the runtimes' errors have no common base class
        lines = (line.strip() for line in str(error).splitlines())
        reason = " ".join(line for line in lines if line and not line.startswith(("Exception from", "Check '")))
        raise RuntimeError(f"{runtime} does not run the exported file: {reason}") from error


def _onnxruntime(content: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(None, {"image": image.numpy()})[0])


def _openvino(content: bytes, bfloat16: bool, compiled: Path | None) -> Run:
    network = _compile(content, bfloat16, compiled)
    return lambda image: torch.from_numpy(network([image.numpy()])[0])


def _compile(content: bytes, bfloat16: bool, compiled: Path | None) -> openvino.CompiledModel:
    """Compile a file for this machine's CPU, or import the model that was compiled before."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    if compiled is not None and compiled.is_file():
        with contextlib.suppress(RuntimeError):  # compiled for another machine
            return core.import_model(io.BytesIO(compiled.read_bytes()), "CPU", settings)
    network = core.compile_model(core.read_model(content), "CPU", settings)
    if compiled is not None:
        blob = network.export_model().getvalue()
        with contextlib.suppress(OSError):  # it is compiled again then
            write_atomically(compiled, lambda temporary: temporary.write_bytes(blob))
    return network
