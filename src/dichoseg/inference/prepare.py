"""Preparation of a model for inference: folded batch norms, fastest memory layout and precision."""

from __future__ import annotations

import copy

import torch
from torch import nn

from ..blocks import ConvNormAct
from ..contracts import Model
from ..runtime.device import Precision, inference_dtype, warn_of_emulation
from .folding import fold_batch_norm
from .winograd import use_winograd


def prepare_for_inference(model: Model, *, precision: Precision, device: torch.device) -> Model:
    """Copy a model and optimize the copy for inference on a device.

    The copy computes the same function faster and is for inference only. Batch norms are folded into the convolutions
    before them, their ReLU works in place, weights are in channels-last layout, and on CPUs with AVX2 3x3 convolutions
    are computed by Winograd's method.

    Args:
        model: Any model; it is not changed.
        precision: `"auto"` is bfloat16 if the hardware has it natively, float16 on other CUDA GPUs with tensor
            cores, else float32.
        device: Device to run on.
    """
    dtype = inference_dtype(precision, device)
    warn_of_emulation(dtype, device)
    ready = copy.deepcopy(model).requires_grad_(False).eval()
    fold_batch_norm(ready)
    ready.to(device=device, dtype=dtype)
    for parameter in ready.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    for block in ready.modules():
        if isinstance(block, ConvNormAct) and isinstance(block.norm, nn.Identity) and isinstance(block.act, nn.ReLU):
            block.act.inplace = True  # nothing else uses the convolution's output
    use_winograd(ready)
    return ready
