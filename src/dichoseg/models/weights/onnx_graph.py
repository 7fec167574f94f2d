"""Weights out of an ONNX graph: folded, half precision or quantised, by name and never by position."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    import onnx

_CONVOLUTIONS = ("Conv", "ConvTranspose", "ConvInteger")
_PASSING = ("Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze")


class Layer(NamedTuple):
    """A convolution or a batch norm of a graph."""

    name: str | None
    """The module's name, as far as the graph tells it."""
    number: int | None
    """The number that the exporter gave to its weight, where that is all there is; numbers rise in the order of
    execution, which nodes need not keep."""
    tensors: dict[str, Tensor]
    """`weight`, `bias`, `running_mean`, `running_var`."""


class Graph(NamedTuple):
    """What a graph holds of weights."""

    layers: tuple[Layer, ...]
    precision: str
    """`float32`, `float16` or `8-bit`."""
    metadata: dict[str, str]
    """What its exporter noted."""


def read_onnx(path: Path) -> Graph:
    """Read the convolutions and batch norms of an ONNX file, widened to float32.

    Names come from the tensors (`stage1.rebnconvin.conv_s1.weight`) where they still have them, else from the nodes
    (`/stage1/rebnconvin/conv_s1/Conv`).

    Raises:
        ImportError: onnx is not installed.
        ValueError: No readable graph, or one without convolutions whose weights it holds.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ImportError("reading .onnx files needs onnx: pip install 'dichoseg[onnx]'") from error
    try:
        model = onnx.load(path)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ValueError(f"{path} is not a readable ONNX file, or not all of it: {error}") from error
    reader = _Reader(model.graph)
    layers = tuple(reader.layers())
    if not layers:
        raise ValueError(f"{path} holds no convolution with weights; got {len(model.graph.node)} nodes")
    return Graph(layers, reader.precision, {entry.key: entry.value for entry in model.metadata_props})


class _Reader:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes = list(graph.node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producers = {output: node for node in self.nodes for output in node.output}
        self.consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.precision = "float32"

    def layers(self) -> Iterator[Layer]:
        for node in self.nodes:
            tensors = {}
            if node.op_type in ("Conv", "ConvTranspose"):
                tensors = {"weight": self.value(node.input[1])}
                if len(node.input) > 2 and node.input[2]:
                    tensors["bias"] = self.value(node.input[2])
            elif node.op_type == "ConvInteger":
                tensors = self.quantised(node)
            elif node.op_type == "BatchNormalization":
                leaves = ("weight", "bias", "running_mean", "running_var")
                tensors = {leaf: self.value(name) for leaf, name in zip(leaves, node.input[1:5], strict=True)}
            known = {leaf: torch.from_numpy(value) for leaf, value in tensors.items() if value is not None}
            if "weight" in known:
                yield Layer(*self.names(node), known)

    def names(self, node: onnx.NodeProto) -> tuple[str | None, int | None]:
        """A module's name and the number of its weight, where the graph gives them."""
        tensor = re.sub(r"_quantized$", "", node.input[1])
        if re.search(r"[A-Za-z].*\.weight$", tensor):
            return tensor.removesuffix(".weight"), None
        number = re.fullmatch(r"(?:onnx::\w+_)?(\d+)", tensor)
        return _path_name(node.name), int(number[1]) if number else None

    def quantised(self, node: onnx.NodeProto) -> dict[str, NDArray[np.float32] | None]:
        """Weight and bias of a dynamically quantised convolution, whose scale and bias are nodes behind it."""
        quantised = self.constant(node.input[1])
        zero_point = self.constant(node.input[3]) if len(node.input) > 3 else np.zeros((), np.uint8)
        scaled = self.follow(node.output[0], "Mul")
        scales = [self.value(name) for name in self.producer_inputs(scaled)]
        scale = next((value for value in scales if value is not None), None)
        if quantised is None or zero_point is None or scaled is None or scale is None:
            return {}
        added = self.follow(scaled.output[0], "Add")
        biases = [self.value(name) for name in added.input] if added is not None else []
        bias = next((value for value in biases if value is not None), None)
        per_channel = (-1, *(1 for _ in quantised.shape[1:]))
        weight = quantised.astype(np.float32) - zero_point.astype(np.float32).reshape(per_channel)
        self.precision = "8-bit"
        return {
            "weight": weight * scale.reshape(per_channel),
            "bias": None if bias is None else bias.reshape(-1),
        }

    def follow(self, name: str, op_type: str) -> onnx.NodeProto | None:
        """The node of a kind that takes this tensor, casts between them passed over."""
        for node in self.consumers.get(name, ()):
            if node.op_type == op_type:
                return node
            if node.op_type == "Cast":
                return self.follow(node.output[0], op_type)
        return None

    def producer_inputs(self, node: onnx.NodeProto | None) -> Iterator[str]:
        """Inputs of the product that a quantised convolution is scaled by: its input's scale and its weight's."""
        for name in [] if node is None else node.input:
            yield name
            producer = self.producers.get(name)
            if producer is not None and producer.op_type == "Mul":
                yield from producer.input

    def value(self, name: str) -> NDArray[np.float32] | None:
        """A tensor that the graph holds, in float32; None where it is computed from the input."""
        value = self.constant(name)
        if value is None:
            return None
        if value.dtype.itemsize == 2:
            self.precision = "float16"
        return np.array(value, dtype=np.float32)

    def constant(self, name: str) -> NDArray[Any] | None:
        from onnx import numpy_helper

        if name in self.constants:
            return numpy_helper.to_array(self.constants[name])
        node = self.producers.get(name)
        if node is None:
            return None
        if node.op_type == "Constant":
            return numpy_helper.to_array(node.attribute[0].t)
        if node.op_type in _PASSING:
            return self.constant(node.input[0])
        if node.op_type == "DequantizeLinear":
            return self.dequantised(node)
        return None

    def dequantised(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        value, scale, *rest = (self.constant(name) for name in node.input)
        if value is None or scale is None:
            return None
        self.precision = "8-bit"
        zero_point = rest[0] if rest and rest[0] is not None else np.zeros((), np.float32)
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        shape = [1] * value.ndim
        if scale.ndim:
            shape[axis] = -1
        scale, zero_point = (array.astype(np.float32).reshape(shape) for array in (scale, zero_point))
        return (value.astype(np.float32) - zero_point) * scale


def _path_name(path: str) -> str | None:
    """`/stage1/rebnconvin/conv_s1/Conv` -> `stage1.rebnconvin.conv_s1`; a list's item repeats the list's name."""
    if not path.startswith("/"):
        return None
    modules: list[str] = []
    for segment in path.split("/")[1:-1]:
        if modules and segment.startswith(f"{modules[-1]}."):
            modules.pop()
        modules.append(segment)
    return ".".join(modules) or None
