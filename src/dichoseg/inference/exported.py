"""Networks in runtimes other than torch, on files that the library exports for them and keeps in its cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from ..checking import choice
from ..contracts import Image, Logits, Model
from ..export.int8 import Calibration, read_calibration
from ..export.network import prepare_export
from ..export.onnx_file import make_file
from ..export.runtimes import FileRuntime, check_installed, form_for, open_file, runtime_version
from ..runtime.device import Precision, uses_bfloat16
from ..runtime.files import write_atomically
from ..runtime.locks import one_at_a_time
from ..weights.cache import cache_folder
from ..weights.format import config_of

logger = logging.getLogger(__name__)

Runtime: TypeAlias = Literal["torch", "onnxruntime", "openvino"]
PRECISIONS: dict[FileRuntime, tuple[Precision, ...]] = {
    "onnxruntime": ("auto", "float32", "int8"),
    "openvino": ("auto", "float32", "bfloat16"),
}
UNUSED_DAYS = 30
"""Days after which a cached file that no process has opened is removed."""
FORMAT = 2
"""Number of the way in which cached files are exported; to be raised when it changes."""


def default_runtime(precision: Precision) -> Runtime:
    """Return the runtime for a precision: onnxruntime for 8 bits, else torch."""
    return "onnxruntime" if precision == "int8" else "torch"


def check_runtime(
    runtime: Runtime, *, precision: Precision, device: str | torch.device | None, detail: str | None, compile: bool
) -> None:
    """Refuse options that need torch with another runtime, and 8 bits with torch."""
    choice("runtime", runtime, get_args(Runtime))
    if runtime == "torch" and precision == "int8":
        raise ValueError("precision='int8' needs runtime='onnxruntime'; got runtime='torch'")
    refused: dict[str, object] = {
        "device": str(device) if device is not None and not str(device).startswith("cpu") else None,
        "detail": "blend" if detail == "blend" else None,
        "compile": compile or None,
    }
    for name, value in refused.items():
        if runtime != "torch" and value is not None:
            raise ValueError(f"{name}={value!r} needs runtime='torch'; got runtime={runtime!r}")


def exported_network(
    runtime: FileRuntime, model: Model, *, precision: Precision, dynamic: bool, calibration: Calibration | None = None
) -> Callable[[Image], Logits]:
    """Return a model's function from a normalized image (B, C, H, W) to its logits, which a runtime computes.

    The model is exported at its preprocessing's size, compared with the file, and the file is kept: a second call, also
    in another process, opens it in a moment. OpenVINO's compiled model is kept next to it.

    Args:
        runtime: Name of the runtime.
        model: Any model that takes images.
        precision: For OpenVINO, `"auto"` is bfloat16 if the CPU has it natively. onnxruntime computes in float32
            or in 8 bits.
        dynamic: Whether images of other sizes will come.
        calibration: Photographs to calibrate 8 bits on.

    Raises:
        ModuleNotFoundError: The runtime is not installed.
        RuntimeError: The runtime lacks an operator of the network, or computes something else; or 8 bits change the
            map too much.
        ValueError: The runtime lacks the precision, or ONNX an operator of the network.
    """
    check_installed(runtime)
    if precision not in PRECISIONS[runtime]:
        wanted = ", ".join(PRECISIONS[runtime])
        raise ValueError(f"precision must be one of {wanted} with runtime={runtime!r}; got {precision!r}")
    bfloat16 = runtime == "openvino" and uses_bfloat16(precision, torch.device("cpu"))
    images = read_calibration(calibration, model.preprocessing) if calibration is not None else []
    with _cache() as folder:
        path = folder / f"{_digest(runtime, model, images, dynamic=dynamic)}.onnx"
        compiled = path.with_suffix(".bfloat16.blob" if bfloat16 else ".float32.blob")
        with one_at_a_time(path, work="exports"):
            if not path.is_file():
                _export(runtime, model, images, path, dynamic=dynamic)
            for file in filter(Path.is_file, (path, compiled)):
                os.utime(file)  # used today
            try:
                run = open_file(runtime, path.read_bytes(), bfloat16=bfloat16, compiled=compiled)
            except RuntimeError:
                path.unlink()  # so that a broken one is made again
                raise
    return lambda image: torch.cat([run(one.float()) for one in image.split(1)])


def _export(runtime: FileRuntime, model: Model, images: Sequence[Image], path: Path, *, dynamic: bool) -> None:
    """Write the file of a model for a runtime, and remove files that no process has opened for a while."""
    logger.warning("exporting the model for %s, once", runtime)
    export = prepare_export(model, gives_logits=True)
    file = make_file(export, [runtime], dynamic=dynamic, deform_conv=form_for(runtime), calibration=images)
    write_atomically(path, lambda temporary: temporary.write_bytes(file.content))
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for other in path.parent.iterdir():
        with contextlib.suppress(OSError):  # removed by another process
            if other.stat().st_mtime < oldest:
                other.unlink()


def _digest(runtime: FileRuntime, model: Model, images: Sequence[Image], *, dynamic: bool) -> str:
    """Return a checksum of all that makes a file: weights, structure, code of the layers, versions, calibration."""
    facts = [FORMAT, runtime, runtime_version(runtime), torch.__version__, dynamic, config_of(model)]
    layers = {type(module).__module__ for module in model.modules()}
    code = sorted({getattr(sys.modules.get(layer), "__file__", None) or "" for layer in layers})
    checksum = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    checksum.update(re.sub(r"0x[0-9a-f]+", "", repr(model)).encode())
    for file in filter(os.path.isfile, code):
        checksum.update(Path(file).read_bytes())
    photographs = ((f"photograph {index}", image) for index, image in enumerate(images))
    for name, value in [*model.named_parameters(), *model.named_buffers(), *photographs]:
        checksum.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        checksum.update(_bytes_of(value))
    return checksum.hexdigest()


def _bytes_of(value: Tensor) -> memoryview:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


@contextmanager
def _cache() -> Iterator[Path]:
    """Give the folder of exported files; a temporary one if the cache cannot be written."""
    folder = cache_folder() / "exported"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        is_writable = False
    if is_writable:
        yield folder
        return
    logger.warning("%s cannot be written: the model is exported again each time; set DICHOSEG_HOME", folder)
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)
