"""Calibration and freezing of batch norm in loaded models."""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .contracts import Image, Model
from .preprocessing import check_floats
from .tracing import evaluating


def identity_statistics(running_var: Tensor, eps: float) -> dict[str, Tensor]:
    """Return the values that make a batch norm pass its input through, as needed after loading a folded file.

    The variance is 1 - eps, not 1, since batch norm adds eps again.
    """
    return {
        "weight": torch.ones_like(running_var),
        "bias": torch.zeros_like(running_var),
        "running_mean": torch.zeros_like(running_var),
        "running_var": torch.full_like(running_var, 1 - eps),
    }


def is_uncalibrated(model: nn.Module) -> bool:
    """Return whether a model has live batch norms that only add a bias, as after loading a folded file.

    Such a model is correct in eval mode only: in train mode these batch norms would normalize. In a new model their
    variance is 1, not 1 - eps.
    """
    return any(_is_identity(module) for module in live_batch_norms(model))


@torch.no_grad()
def calibrate_batch_norm(model: Model, images: Image) -> None:
    """Set every batch norm to the statistics of its input on a batch, without changing the model's function.

    A file whose batch norms are folded into its convolutions (mostly ONNX) leaves batch norms that do nothing. In train
    mode they would normalize all the same, and change the function. This sets mean and variance to those of each batch
    norm's input, and weight and bias so that they undo this: in eval mode the function is unchanged for any image, in
    train mode for this batch. Then `fit` can train the model.

    Args:
        model: Model with live batch norm; changed in place. It keeps its device and its mode.
        images: Batch (B, C, H, W) of the model's normalized input, at the size for training. More, and more varied,
            images give better statistics; eight photographs are enough. Each batch norm needs several values per
            channel. On an error, the model stays as it was.
    """
    check_floats(images)
    if not images.isfinite().all():
        raise ValueError("images hold values that are not finite")
    norms = [module for module in live_batch_norms(model) if module.running_var is not None and module.affine]
    if not norms:
        raise ValueError("the model has no live batch norm to calibrate; it can be trained as it is")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    hooks = [norm.register_forward_pre_hook(lambda norm, inputs: _calibrate(norm, inputs[0])) for norm in norms]
    try:
        with evaluating(model):
            model(images.to(next(model.parameters())))
    except BaseException:
        model.load_state_dict(before)
        raise
    finally:
        for hook in hooks:
            hook.remove()


def freeze_batch_norm(model: nn.Module) -> None:
    """Replace every 2-D batch norm by a frozen one, whose values do not change in train mode.

    This is common for small batches, EGNet is trained this way, and a model from a folded file can then be trained
    without `calibrate_batch_norm`. The names in the `state_dict` are kept, except for the counters. `save_model` and
    `load_model` keep the model frozen; `create_model(name, weights=folder)` makes one with live batch norm from the
    same weights.

    Args:
        model: Model to change in place.
    """
    from timm.layers import freeze_batch_norm_2d

    live = live_batch_norms(model)
    if not live:
        raise ValueError("the model has no live batch norm to freeze")
    if any(norm.running_var is None for norm in live):
        raise ValueError("the model has a batch norm without running statistics, which cannot be frozen")
    freeze_batch_norm_2d(model)
    for module in model.modules():
        if type(module).__name__ in _FROZEN:
            module.forward = functools.partial(_normalize, module)


_FROZEN = ("FrozenBatchNorm2d", "FrozenBatchNormAct2d")


def _normalize(norm: Any, features: Tensor) -> Tensor:
    """Compute a frozen batch norm in the type of its input; timm's would make float32 of bfloat16 under autocast."""
    statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias
    features = F.batch_norm(features, *statistics, training=False, eps=norm.eps)
    return cast(Tensor, norm.act(norm.drop(features))) if hasattr(norm, "act") else features


def is_frozen(model: nn.Module) -> bool:
    """Return whether a model has batch norms and all are frozen; a partly frozen model is saved as live."""
    has_statistics = any(isinstance(getattr(module, "running_var", None), Tensor) for module in model.modules())
    return has_statistics and not live_batch_norms(model)


def live_batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms that take their statistics from the batch when the model trains."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def _is_identity(norm: _BatchNorm) -> bool:
    if norm.running_var is None or norm.running_mean is None or not norm.affine or norm.weight.is_meta:
        return False
    # in float32: half precision would round 1 - eps to 1
    variance_is_folded = bool(((norm.running_var.float() - (1 - norm.eps)).abs() < norm.eps / 4).all())
    return variance_is_folded and not norm.running_mean.any() and bool((norm.weight == 1).all())


def _calibrate(norm: _BatchNorm, features: Tensor) -> None:
    if features.numel() == features.shape[1]:
        raise ValueError(
            "a batch norm gets one value per channel, which has no variance; use more images, or larger ones"
        )
    # with batch norm's own kernel, whose float32 sums are coarse: train mode computes the same on this batch
    mean, variance = torch.zeros_like(norm.bias), torch.ones_like(norm.bias)
    F.batch_norm(features, mean, variance, training=True, momentum=1.0, eps=norm.eps)
    count = features.numel() // features.shape[1]
    variance = variance * ((count - 1) / count)  # the kernel stores the unbiased one, and normalizes by the other
    running_mean, running_var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    gain = norm.weight.double() / (running_var.double() + norm.eps).sqrt()
    offset = norm.bias.double() - gain * running_mean.double()
    running_mean.copy_(mean)
    running_var.copy_(variance)
    # from the rounded values, since eval mode uses these
    norm.weight.copy_(gain * (running_var.double() + norm.eps).sqrt())
    norm.bias.copy_(offset + gain * running_mean.double())
