"""Export of a model as an ONNX file."""

from __future__ import annotations

import functools
import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import nn

from ..checking import choice
from ..contracts import Image, Model
from ..runtime.files import check_destination, write_atomically
from ..weights.format import METADATA_KEY, config_of
from ..weights.onnx_graph import path_name
from .deform_conv import OPSET as DEFORM_CONV_OPSET
from .deform_conv import DeformConvForm, deform_conv_symbolic, has_deform_conv, sample_by_grid
from .int8 import BOUNDS, Calibration, Map, Quantized, check_calibration, compare, quantize, read_calibration
from .network import REFERENCE_SIZE, TOLERANCE, Export, Preset, compute_references, largest_difference, prepare_export
from .runtimes import FileRuntime, check_installed, installed_runtimes, open_file, runtime_version

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

OPSET = 17
HALF_TOLERANCE = 1e-2
"""Ten times the difference of a trained IS-Net with float16 weights at 1024 pixels, 1e-3; float32: 1e-6 or less."""
LARGEST_DIFFERENCE = 1.0
"""Largest possible difference of two probabilities; a larger one means NaN or another shape."""
LARGEST_HALF = float(np.finfo(np.float16).max)
_WRAPPERS = re.compile(r"^(inner\.)?(network\.)?")
_WEIGHTED = ("Conv", "ConvTranspose", "DeformConv", "Gemm", "MatMul")


def export_onnx(
    model: Model,
    path: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    dynamic: bool = False,
    preset: Preset | None = None,
    half: bool = False,
    deform_conv: DeformConvForm = "native",
    precision: Literal["float32", "int8"] = "float32",
    calibration: Calibration | None = None,
) -> float:
    """Write a model as an ONNX file, for onnxruntime and the tools that use it, such as rembg.

    The file has one input, `image` (1, 3, H, W) float32, and one output, `probability` (1, 1, H, W) float32 in [0, 1].
    Its metadata describe under `dichoseg`, in JSON, how the model is made and how its input is preprocessed, and state
    the largest difference from the model in each installed runtime (`parity`, None if a runtime cannot run the file).
    `load_model(path)` reads the file back if all weights belong to convolutions and batch norms, as in the published
    networks. The file is at opset 17, or at 19 with native deformable convolutions, as in BiRefNet.

    Without a preset, the file takes the model's input, a photograph preprocessed by `model.preprocessing`. A preset
    names a tool with a preprocessing of its own, which the file converts to the model's: it undoes the tool's mean and
    std, applies the model's scale, mean, std and channel order, runs the network at the model's own size, and returns
    the map at the tool's size. So any model works in the tool. Two steps cannot be undone: the tool divides each
    photograph by its largest value, which brightens dark ones, and stretches it to a square with its own filter.

    Args:
        model: Any model that takes images. It is not changed and keeps its mode and device.
        path: Path of the file, without external data, written completely or not at all. An existing one is replaced.
        size: Size of the network's input in pixels: (height, width), or an int for a square. Default: the model's own.
        dynamic: Whether to leave batch, height and width open. Not for a preset, because its tool has a fixed size.
        preset: `"rembg-dis"` for rembg's `dis_custom`, which gives 1024 pixels; `"rembg-u2net"` for `u2net_custom`,
            which gives 320; `"rembg-birefnet"` for the sessions `birefnet-...`, which give 1024 and apply the sigmoid
            themselves, so that the output is `logits`.
        half: Whether to store the weights of convolutions and linear layers as float16, which halves the file. They are
            cast to float32 when the file is loaded, so speed, memory and all computations are those of float32.
        deform_conv: Form of deformable convolutions: `"native"` is ONNX's own operator, which onnxruntime runs on a CPU
            from version 1.25 on; `"grid_sample"` is for other runtimes.
        precision: `"int8"` quantizes the convolutions, and the operations between them, to 8 bits, but for the last
            convolution, and for the most sensitive parts of the network if necessary. Tools that run the file
            need nothing else. Not with `half`.
        calibration: Photographs to calibrate `"int8"` on, 8 or more (32 are used), of the kind that the file is for: a
            folder, or a list of paths or tensors (3, H, W) in [0, 1].

    Returns:
        Largest difference between the file's probability and the model's on a random image, and if `dynamic` also on a
        batch of two at an odd size; for `"int8"`, mean absolute difference on the calibration photographs.

    Raises:
        RuntimeError: onnxruntime cannot run the file, or the file would differ from the model by more than 1e-3 (with
            `half` 1e-2); or in 8 bits, the maps of the calibration photographs would differ by more than 0.01 on
            average, or their IoU at one half fall below 0.97, or that of their edges below 0.9. No file is written
            then.
    """
    check_installed("onnxruntime")
    path = Path(path)
    check_destination(path)
    choice("deform_conv", deform_conv, get_args(DeformConvForm))
    choice("precision", precision, ("float32", "int8"))
    check_calibration(precision, calibration)
    if half and precision == "int8":
        raise ValueError("half=True is for precision='float32'; got precision='int8'")
    export = prepare_export(model, size=size, preset=preset)
    if dynamic and preset is not None:
        raise ValueError(f"dynamic is not for {preset}, which gives images of {export.preprocessing.size} pixels only")
    file = make_file(
        export,
        installed_runtimes(),
        dynamic=dynamic,
        half=half,
        deform_conv=deform_conv,
        preset=preset,
        calibration=read_calibration(calibration, export.preprocessing) if calibration is not None else (),
    )
    write_atomically(path, lambda temporary: temporary.write_bytes(file.content))
    return file.difference


class ExportedFile(NamedTuple):
    """Content of an exported file, and its difference in probability from the model."""

    content: bytes
    difference: float


def make_file(
    export: Export,
    runtimes: Sequence[FileRuntime],
    *,
    dynamic: bool,
    deform_conv: DeformConvForm,
    half: bool = False,
    preset: Preset | None = None,
    calibration: Sequence[Image] = (),
) -> ExportedFile:
    """Export a prepared model to memory, and compare it with the model.

    Args:
        export: Prepared model.
        runtimes: Installed runtimes to compare in: the first must run the file, the others are tried.
        dynamic: Whether to leave batch, height and width open.
        deform_conv: Form of deformable convolutions.
        half: Whether to store weights as float16.
        preset: Preset of the prepared model, for the metadata.
        calibration: Inputs of the network to calibrate 8 bits on; none for float32.

    Raises:
        RuntimeError: The first runtime cannot run the file, or the file would differ from the model.
        ValueError: ONNX cannot express the model.
    """
    import onnx

    shape = export.preprocessing.height_width or ((REFERENCE_SIZE, REFERENCE_SIZE) if dynamic else None)
    if shape is None:
        raise ValueError("the model takes photographs at their native size: set size=, or dynamic=True for any size")
    odd = (2, shape[0] * 3 // 4 | 1, shape[1] * 5 // 4 | 1)
    references = compute_references(export, [(1, *shape), *([odd] if dynamic else [])])
    if deform_conv == "grid_sample":
        sample_by_grid(export.module)
    output = "logits" if export.gives_logits else "probability"
    file = _trace(export.module, references[0].image, output, dynamic=dynamic)
    _name_weights(file.graph, export.network)

    def difference(runtime: FileRuntime, tolerance: float, suspect: str = "") -> float:
        run = open_file(runtime, file.SerializeToString())  # as it is by then
        return largest_difference(
            lambda image: export.probability(run(image)), references, tolerance=tolerance, suspect=suspect
        )

    measured = difference(runtimes[0], TOLERANCE, "dynamic" if dynamic else "")
    if half:  # compared twice, so that an error names the option to blame
        _halve_weights(file.graph)
        measured = difference(runtimes[0], HALF_TOLERANCE, "half")
    metadata: dict[str, Any] = {**config_of(export.network), "preset": preset}
    quantized: Quantized | None = None
    limit = HALF_TOLERANCE if half else TOLERANCE
    if calibration:
        quantized = quantize(file, calibration, functools.partial(_maps, export, runtimes[0]))
        file, measured, limit = quantized.file, quantized.agreement.mean_difference, BOUNDS.mean_difference
        metadata["int8"] = quantized.to_dict()

    def measure(runtime: FileRuntime) -> float:
        if quantized is None:
            return difference(runtime, LARGEST_DIFFERENCE)
        return compare(_maps(export, runtime, file.SerializeToString(), calibration), quantized.wanted).mean_difference

    metadata["parity"] = {_named(runtimes[0]): measured, **_parity(runtimes[1:], measure, limit)}
    onnx.helper.set_model_props(file, {METADATA_KEY: json.dumps(metadata)})
    return ExportedFile(file.SerializeToString(), measured)


def _maps(export: Export, runtime: FileRuntime, content: bytes, images: Sequence[Image]) -> list[Map]:
    """Return the probabilities (H, W) that a file gives for images in a runtime."""
    run = open_file(runtime, content)
    return [export.probability(run(image))[0, 0].numpy() for image in images]


def _parity(
    runtimes: Sequence[FileRuntime], measure: Callable[[FileRuntime], float], limit: float
) -> dict[str, float | None]:
    """Return the difference from the model in further runtimes, None if the file does not run; warn if it is large."""
    parity: dict[str, float | None] = {}
    for runtime in runtimes:
        try:
            found = parity[_named(runtime)] = measure(runtime)
            if found > limit:
                logger.warning(
                    "in %s, the file's probabilities differ from the model's by %.2g", _named(runtime), found
                )
        except RuntimeError as error:
            parity[_named(runtime)] = None
            logger.warning("the file is not for %s: %s", _named(runtime), error)
    return parity


def _named(runtime: FileRuntime) -> str:
    return f"{runtime} {runtime_version(runtime)}"


def _trace(module: nn.Module, image: Image, output: str, *, dynamic: bool) -> onnx.ModelProto:
    """Trace a module with batch norm folded; tracing supports ceil-mode pooling at dynamic sizes."""
    import onnx

    axes = {0: "batch", 2: "height", 3: "width"}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), deform_conv_symbolic(), _explained():
        warnings.simplefilter("ignore")  # about deprecation, and about frozen values, which the comparison finds
        torch.onnx.export(
            module,
            (image,),
            buffer,  # type: ignore[arg-type]  # annotated for paths only
            dynamo=False,
            opset_version=DEFORM_CONV_OPSET if has_deform_conv(module) else OPSET,
            input_names=["image"],
            output_names=[output],
            dynamic_axes={"image": axes, output: axes} if dynamic else None,
        )
    return onnx.load_model_from_string(buffer.getvalue())


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the exporter's error about an operator that ONNX lacks into a ValueError of one sentence that names it."""
    try:
        yield
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(f"ONNX cannot express this model: {str(error).partition('. ')[0].strip()}") from error


def _name_weights(graph: onnx.GraphProto, network: Model) -> None:
    """Rename weights as in the model: the exporter adds wrappers' names, and numbers folded weights."""
    modules = [name for name, _ in network.named_modules() if name]
    names = {tensor.name: _WRAPPERS.sub("", tensor.name) for tensor in graph.initializer}
    for node in graph.node:
        path = path_name(node.name)
        if node.op_type not in ("Conv", "ConvTranspose") or node.input[1].endswith(".weight") or path is None:
            continue
        path = _WRAPPERS.sub("", path)
        # a module whose called method is not forward, such as heads.logits, is missing in the path
        fitting = [name for name in modules if name == path] or [name for name in modules if name.endswith(f".{path}")]
        if len(fitting) == 1 and f"{fitting[0]}.weight" not in names.values():
            parts = zip(node.input[1:], ("weight", "bias"), strict=False)
            names |= {part: f"{fitting[0]}.{leaf}" for part, leaf in parts if part in names}
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _halve_weights(graph: onnx.GraphProto) -> None:
    """Store weights as float16, each with a cast to float32 under its original name."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {node.input[1] for node in graph.node if node.op_type in _WEIGHTED}
    casts = []
    for tensor in graph.initializer:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if name in weights and values.dtype == np.float32 and np.abs(values).max(initial=0) <= LARGEST_HALF:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
