"""Read weights from an ONNX graph, also folded, half-precision or quantized ones; by name, never by position."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..untrusted import check_elements, check_limit

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]

_CONVOLUTIONS = ("Conv", "ConvTranspose", "ConvInteger", "FusedConv")
_LAYERS = (*_CONVOLUTIONS, "BatchNormalization")
_PASSING = ("Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze")
_DOMAINS = ("", "ai.onnx", "com.microsoft")


class Layer(NamedTuple):
    """Convolution or batch norm of a graph."""

    name: str | None
    """Name of the module; None if the graph does not hold it."""
    number: int | None
    """Number that the exporter gave to the weight in place of its name; None if there is none."""
    tensors: dict[str, Tensor]
    """`weight` and `bias`; for a batch norm also `running_mean` and `running_var`."""
    geometry: dict[str, tuple[int, ...]]
    """`stride` and `dilation` of a convolution."""
    eps: float
    """Epsilon of a batch norm; 0 for a convolution."""


class Graph(NamedTuple):
    """Weights of a graph."""

    layers: tuple[Layer, ...]
    precision: str
    """`float32`, `16-bit` or `8-bit`."""
    metadata: dict[str, str]
    """Metadata that the exporter wrote."""


def read_onnx(path: Path) -> Graph:
    """Read the convolutions and batch norms of an ONNX file, widened to float32.

    Names come from the tensors (`stage1.rebnconvin.conv_s1.weight`) if they still have them, else from the nodes
    (`/stage1/rebnconvin/conv_s1/Conv`). Factors and summands that follow a convolution, such as a frozen batch norm or
    the scales of a quantized convolution, are folded into it.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("reading .onnx files needs onnx: pip install 'dichoseg[onnx]'") from error
    try:
        model = onnx.load(path, load_external_data=False)
        reader = _Reader(model.graph, path)
        check_limit("tensors", sum(node.op_type in _LAYERS for node in reader.nodes))
        layers = tuple(reader.layers())
    except _Unreadable as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # a damaged file can fail anywhere in protobuf, onnx or NumPy
        raise ValueError(f"{path} is not a readable ONNX file, or is incomplete: {error}") from error
    if not layers:
        held = ", ".join(sorted({node.op_type for node in model.graph.node})) or "no nodes"
        raise ValueError(f"{path} holds no convolution whose weights can be read; it has {held}")
    return Graph(layers, reader.precision, {entry.key: entry.value for entry in model.metadata_props})


class _Unreadable(Exception):
    """Intact graph with content that this module does not support."""


class _Reader:
    def __init__(self, graph: onnx.GraphProto, path: Path) -> None:
        self.nodes = list(graph.node)
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {output.name for output in graph.output}
        self.producers = {output: node for node in self.nodes for output in node.output if output}
        if len(self.producers) < sum(bool(output) for node in self.nodes for output in node.output):
            raise _Unreadable("two of its nodes compute the same output")
        self.consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.precision = "float32"
        self.folder = path.parent
        self.bytes = path.stat().st_size + sum(file.stat().st_size for file in self.external_files())
        self.elements = 0
        self.constants: dict[str, Array | None] = {}
        self.followed: set[str] = set()
        """Outputs that follow a convolution whose layer is done; in a valid graph, each follows only one."""

    def external_files(self) -> set[Path]:
        """Return the files next to the graph that hold its tensors."""
        return {self.external_file(tensor) for tensor in self.stored.values() if tensor.external_data}

    def external_file(self, tensor: onnx.TensorProto) -> Path:
        home = self.folder.resolve()
        file = (home / _external(tensor, "location")).resolve()
        if file.parent != home:
            raise _Unreadable(f"{tensor.name} is in {file}, outside of its folder")
        return file

    def count(self, elements: int) -> None:
        """Raise an error if more elements have been read than the file can store."""
        self.elements += elements
        check_elements(self.elements, self.bytes)

    def layers(self) -> Iterator[Layer]:
        """Yield every convolution and batch norm whose weights the graph holds."""
        for node in self.nodes:
            if node.op_type not in _LAYERS:
                continue
            if node.domain not in _DOMAINS:
                raise _Unreadable(f"it is optimized for one machine ({node.domain}); use the file from before that")
            weight = self.value(node.input[1])
            if weight is None:
                continue
            if weight.size == 0:
                raise _Unreadable(f"{node.input[1]} has no elements: {weight.shape}")
            name, number = self.names(node)
            if node.op_type == "BatchNormalization":
                leaves = ("weight", "bias", "running_mean", "running_var")
                values = {leaf: self.needed(name) for leaf, name in zip(leaves, node.input[1:5], strict=True)}
                yield Layer(name, number, _tensors(values), {}, _attribute(node, "epsilon", 1e-5))
                continue
            values = self.convolution(node, weight)
            geometry = {
                "stride": tuple(_attribute(node, "strides", (1, 1))),
                "dilation": tuple(_attribute(node, "dilations", (1, 1))),
            }
            yield Layer(name, number, _tensors(values), geometry, 0.0)

    def names(self, node: onnx.NodeProto) -> tuple[str | None, int | None]:
        """Return a module's name and the number of its weight, each None if the graph does not hold it."""
        tensor = re.sub(r"_quantized$", "", node.input[1])
        module = tensor.removesuffix(".weight")
        if module != tensor and re.search(r"[A-Za-z]", module):
            return module, None
        number = re.fullmatch(r"(?:onnx::\w+_)?(\d+)", tensor)
        return path_name(node.name), int(number[1]) if number else None

    def convolution(self, node: onnx.NodeProto, weight: Array) -> dict[str, Array]:
        """Return weight and bias of a convolution, with following factors and summands folded in."""
        channels_first = node.op_type == "ConvTranspose"  # (in, out, ...) rather than (out, in, ...)
        channels = weight.shape[1 if channels_first else 0]
        weight, bias = weight.astype(np.float64), np.zeros(channels)
        if node.op_type == "ConvInteger":
            if len(node.input) > 3 and node.input[3]:
                zero_point = _per_channel(self.needed(node.input[3]), channels, node)
                weight = weight - zero_point.reshape(-1, *(1 for _ in weight.shape[1:]))
            self.precision = "8-bit"
        elif len(node.input) > 2 and node.input[2]:
            bias = _per_channel(self.needed(node.input[2]), channels, node)
        factors = np.ones(channels)
        for follower, operand in self.followers(node):
            value = _per_channel(operand, channels, follower)
            if follower.op_type in ("Mul", "Div"):
                factor = value if follower.op_type == "Mul" else 1 / value
                factors, bias = factors * factor, bias * factor
            else:
                bias = bias + value if follower.op_type == "Add" else bias - value
        shape = [1] * weight.ndim
        shape[1 if channels_first else 0] = -1
        return {"weight": weight * factors.reshape(shape), "bias": bias}

    def followers(self, node: onnx.NodeProto) -> Iterator[tuple[onnx.NodeProto, Array]]:
        """Yield products and sums with constants that follow a convolution, until its output has another use."""
        name, is_quantized = node.output[0], node.op_type == "ConvInteger"
        while name not in self.outputs and len(self.consumers.get(name, ())) == 1:
            node = self.consumers[name][0]
            if name in self.followed:
                raise _Unreadable(f"its nodes form a circle at {name}")
            self.followed.add(name)
            if node.op_type in ("Mul", "Div", "Add", "Sub"):
                others = [other for other in node.input if other != name]
                operand = self.value(others[0]) if others else None
                if operand is None and others and is_quantized and node.op_type == "Mul":
                    operand = self.scale(others[0])
                if operand is None or (node.op_type in ("Div", "Sub") and node.input[0] != name):
                    return
                yield node, operand
            elif node.op_type not in ("Identity", "Cast"):
                return
            name = node.output[0]

    def scale(self, name: str) -> Array | None:
        """Return the weight's scale from a quantized convolution's scale, its product with the input's scale."""
        producer = self.producers.get(name)
        if producer is None or producer.op_type != "Mul":
            return None
        factors = [value for value in map(self.value, producer.input) if value is not None]
        return factors[0] if len(factors) == 1 else None

    def needed(self, name: str) -> Array:
        """Return a tensor that the graph must hold."""
        value = self.value(name)
        if value is None:
            raise _Unreadable(f"{name} is computed; wanted a stored weight")
        return value

    def value(self, name: str) -> Array | None:
        """Return a tensor of the graph in float32; None if it is computed from the input."""
        value = self.constant(name)
        if value is None:
            return None
        if value.dtype.itemsize == 2:
            self.precision = "16-bit"
        self.count(value.size)
        return np.array(value, dtype=np.float32)

    def constant(self, name: str) -> Array | None:
        """Return a tensor of the graph as it is stored; None if it is computed from the input, or from itself."""
        if name not in self.constants:
            self.constants[name] = None
            self.constants[name] = self.computed(name)
        return self.constants[name]

    def computed(self, name: str) -> Array | None:
        if name in self.stored:
            return self.array(self.stored[name])
        node = self.producers.get(name)
        if node is None:
            return None
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            return self.array(node.attribute[0].t)
        if node.op_type in _PASSING:
            return self.constant(node.input[0])
        return self.dequantized(node) if node.op_type == "DequantizeLinear" else None

    def array(self, tensor: onnx.TensorProto) -> Array:
        """Return the elements of a tensor, which may be in a file next to the graph."""
        import onnx
        from onnx import helper, numpy_helper

        if tensor.external_data:
            self.count(math.prod(tensor.dims))
            size = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            with self.external_file(tensor).open("rb") as file:
                file.seek(int(_external(tensor, "offset") or 0))
                content = file.read(size)
            tensor = onnx.TensorProto(dims=tensor.dims, data_type=tensor.data_type, raw_data=content)
        return numpy_helper.to_array(tensor)

    def dequantized(self, node: onnx.NodeProto) -> Array | None:
        """Return a weight that is stored in 8 bits with its scale."""
        value, scale, *rest = (self.constant(name) for name in node.input)
        if value is None or scale is None:
            return None
        self.precision = "8-bit"
        zero_point = rest[0] if rest and rest[0] is not None else np.zeros((), np.float32)
        shape = [1] * value.ndim
        if scale.size > 1:
            shape[_attribute(node, "axis", 1)] = -1
        scale, zero_point = (
            array.astype(np.float32).reshape(shape if array.size > 1 else ()) for array in (scale, zero_point)
        )
        if any(np.broadcast_shapes(value.shape, array.shape) != value.shape for array in (scale, zero_point)):
            raise _Unreadable(f"{node.input[0]} of shape {value.shape} has scales of another shape")
        return (value.astype(np.float32) - zero_point) * scale


def _tensors(values: dict[str, Array]) -> dict[str, Tensor]:
    return {leaf: torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32)) for leaf, value in values.items()}


def _per_channel(operand: Array, channels: int, node: onnx.NodeProto) -> Array:
    """Expand a constant to one value per channel."""
    sizes = [size for size in operand.shape if size != 1]
    if sizes not in ([], [channels]) or (sizes and operand.ndim not in (1, 3, 4)):
        raise _Unreadable(f"a convolution is followed by {node.op_type} with a constant of shape {operand.shape}")
    return np.broadcast_to(operand.astype(np.float64).reshape(-1), (channels,))


def _external(tensor: onnx.TensorProto, key: str) -> str:
    """Return an entry of a tensor's reference to another file, or an empty text."""
    return next((entry.value for entry in tensor.external_data if entry.key == key), "")


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), default)


def path_name(path: str) -> str | None:
    """Convert a node's path to a module's name: `/stage1/rebnconvin/conv_s1/Conv` -> `stage1.rebnconvin.conv_s1`.

    The path of a list's item repeats the list's name.
    """
    if not path.startswith("/"):
        return None
    modules: list[str] = []
    for segment in path.split("/")[1:-1]:
        if modules and segment.startswith(f"{modules[-1]}."):
            modules.pop()
        modules.append(segment)
    return ".".join(modules) or None
