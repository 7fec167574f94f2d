"""Deformable convolution in ONNX: its own operator, which it knows since opset 19, or samples and a 1x1 convolution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.onnx import symbolic_helper

from ..blocks import spatial_size
from ..deformable import DeformConv2d

DeformConvForm: TypeAlias = Literal["native", "grid_sample"]
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


def sample_by_grid(network: nn.Module) -> None:
    """Replace the deformable convolutions of a network by `GridSampleConv2d`, in place; weights keep their names."""
    for name, module in list(network.named_modules()):
        if isinstance(module, DeformConv2d):
            network.set_submodule(name, GridSampleConv2d(module))


class GridSampleConv2d(nn.Module):
    """Deformable convolution by operators that ONNX knows since opset 16: `GridSample`, and a 1x1 convolution.

    Args:
        convolution: Deformable convolution to replace.
    """

    def __init__(self, convolution: DeformConv2d) -> None:
        super().__init__()
        self.offset, self.modulator = convolution.offset, convolution.modulator
        self.side = convolution.weight.shape[-1]
        self.weight = nn.Parameter(convolution.weight.flatten(1)[..., None, None])  # (out, in * taps, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        (height, width), side = spatial_size(features), self.side
        taps = torch.arange(side**2)[:, None, None]
        moves = self.offset(features).unflatten(1, (side**2, 2))  # (B, taps, 2, H, W)
        rows = moves[:, :, 0] + torch.arange(height)[:, None] + taps // side - side // 2
        columns = moves[:, :, 1] + torch.arange(width) + taps % side - side // 2
        grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1).flatten(1, 2)
        samples = F.grid_sample(features, grid, align_corners=False)  # (B, C, taps * H, W)
        mask = 2 * self.modulator(features).sigmoid()
        samples = samples.unflatten(2, (side**2, -1)) * mask[:, None]  # (B, C, taps, H, W)
        return F.conv2d(samples.flatten(1, 2), self.weight)


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
