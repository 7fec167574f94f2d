"""Preparation of a model for inference: folded batch norms, fused ReLU, fastest memory layout."""

from __future__ import annotations

import copy
import logging
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..blocks import ConvNormAct
from ..contracts import Model
from ..runtime.device import Precision, uses_bfloat16
from .folding import fold_batch_norm, has_hooks

logger = logging.getLogger(__name__)


def prepared(model: Model, *, precision: Precision, device: torch.device) -> Model:
    """Copy a model and optimize the copy for inference on a device.

    The copy computes the same function faster and is for inference only. Batch norms are folded into the convolutions
    before them, weights are in channels-last layout, and on a CPU the ReLU after a convolution is fused into it.

    Args:
        model: Any model; it is not changed.
        precision: `"auto"` is bfloat16 if the hardware has it natively, else float32.
        device: Device to run on.
    """
    dtype = torch.bfloat16 if uses_bfloat16(precision, device) else torch.float32
    ready = copy.deepcopy(model).requires_grad_(False).eval()
    fold_batch_norm(ready)
    ready.to(device=device, dtype=dtype)
    for parameter in ready.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    if device.type == "cpu":
        _fuse_relu(ready)
    return ready


class ConvReLU(nn.Module):
    """Convolution fused with the ReLU after it, in one pass over the output.

    It calls an operator that is private to torch's compiler, so `fused` compares it with the plain layers first.

    Args:
        conv: Convolution on the CPU, in the dtype and layout to use.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        self.settings: tuple[Any, ...] = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self.bias = nn.Parameter(conv.bias, requires_grad=False)
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        self.weight: Tensor = reorder(conv.weight.to_mkldnn(), *self.settings, None)

    def forward(self, features: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W), non-negative."""
        convolve = torch.ops.mkldnn._convolution_pointwise
        return cast(Tensor, convolve(features, self.weight, self.bias, *self.settings, "relu", [], ""))


def fused(conv: nn.Conv2d) -> nn.Module | None:
    """Fuse a convolution with its ReLU; return None if torch lacks the operator or its result differs."""
    shape = (1, conv.in_channels, 8, 8)
    like = torch.linspace(-1, 1, conv.in_channels * 64).view(shape).to(conv.weight.dtype)
    like = like.to(memory_format=torch.channels_last)
    try:
        candidate = ConvReLU(conv)
        result = candidate(like)
    except Exception as error:  # a private operator may be missing or raise any error
        logger.debug("convolution and ReLU cannot be fused: %s", error)
        return None
    plain = conv(like).relu()
    tolerance = 1e-4 if conv.weight.dtype == torch.float32 else 2e-2
    return candidate if torch.allclose(result, plain, rtol=tolerance, atol=tolerance) else None


def _fuse_relu(model: Model) -> None:
    for block in model.modules():
        if not isinstance(block, ConvNormAct) or not isinstance(block.norm, nn.Identity):
            continue
        if type(block.conv) is nn.Conv2d and not any(map(has_hooks, block)):
            candidate = fused(block.conv)
            if candidate is None:
                return
            block.conv = cast(nn.Conv2d, candidate)
            block.act = cast(nn.ReLU, nn.Identity())
