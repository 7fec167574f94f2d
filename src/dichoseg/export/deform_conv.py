"""Deformable convolution in ONNX, which knows it since opset 19."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.onnx import symbolic_helper

from ..deformable import DeformConv2d

OPSET = 19
_NAME = "torchvision::deform_conv2d"


def has_deform_conv(network: nn.Module) -> bool:
    """Return whether a network needs ONNX's `DeformConv`."""
    return any(isinstance(module, DeformConv2d) for module in network.modules())


@contextmanager
def deform_conv_symbolic() -> Iterator[None]:
    """Let torch's exporter write torchvision's deformable convolution as `DeformConv` inside the block."""
    torch.onnx.register_custom_op_symbolic(_NAME, _symbolic, OPSET)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(_NAME, OPSET)  # type: ignore[attr-defined]


@symbolic_helper.parse_args("v", "v", "v", "v", "v", "i", "i", "i", "i", "i", "i", "i", "i", "b")
def _symbolic(
    graph: Any,
    image: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    stride_rows: int,
    stride_columns: int,
    padding_rows: int,
    padding_columns: int,
    dilation_rows: int,
    dilation_columns: int,
    groups: int,
    offset_groups: int,
    uses_mask: bool,
) -> Any:
    return graph.op(
        "DeformConv",
        image,
        weight,
        offset,
        bias,
        *([mask] if uses_mask else []),
        kernel_shape_i=symbolic_helper._get_tensor_sizes(weight)[2:],
        strides_i=[stride_rows, stride_columns],
        pads_i=[padding_rows, padding_columns] * 2,
        dilations_i=[dilation_rows, dilation_columns],
        group_i=groups,
        offset_group_i=offset_groups,
    )
