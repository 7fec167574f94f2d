"""Batch norm of loaded models: folded, calibrated, frozen."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .contracts import Image, Model
from .tracing import evaluating


def identity_statistics(running_var: Tensor, eps: float) -> dict[str, Tensor]:
    """The values with which a batch norm passes its input through: what a folded file leaves for it to do.

    The variance is 1 - eps, not 1, since batch norm adds eps again.
    """
    return {
        "weight": torch.ones_like(running_var),
        "bias": torch.zeros_like(running_var),
        "running_mean": torch.zeros_like(running_var),
        "running_var": torch.full_like(running_var, 1 - eps),
    }


def is_uncalibrated(model: nn.Module) -> bool:
    """Whether a model holds live batch norms that do nothing but add a bias, as a folded file leaves them.

    Such a model is right in eval mode; in train mode it would normalise what was never meant to be normalised. A new
    model's batch norms differ: their variance is 1, not 1 - eps.
    """
    return any(_is_identity(module) for module in _live_batch_norms(model))


@torch.no_grad()
def calibrate_batch_norm(model: Model, images: Image) -> None:
    """Give every batch norm the statistics of its input on a batch, and leave the model's function as it is.

    A file whose batch norms are folded into its convolutions (ONNX mostly) leaves batch norms that do nothing. In
    train mode they would normalise all the same, and the function would be lost. This sets mean and variance to those
    of each batch norm's input, and weight and bias to what undoes them: in eval mode the function is the same for any
    image, and in train mode for this batch. Then `fit` can train the model.

    Args:
        model: Any model with live batch norm; changed in place. It stays on its device and in its mode.
        images: One batch (B, C, H, W) of what the model takes, normalised, at the size to be trained at; the more and
            the more various the images, the better the statistics. Eight photographs will do.

    Raises:
        ValueError: No batch norm to calibrate, or a batch that is not one of images, not finite, or so small that a
            batch norm sees one value per channel; the model is unchanged then.
    """
    channels = model.preprocessing.channels
    if images.ndim != 4 or images.shape[1] != channels or not images.is_floating_point() or not len(images):
        raise ValueError(
            f"images must be a batch of floats (B, {channels}, H, W); got {tuple(images.shape)} of {images.dtype}"
        )
    if not images.isfinite().all():
        raise ValueError("images hold values that are not finite")
    norms = [module for module in _live_batch_norms(model) if module.running_var is not None and module.affine]
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
    """Replace every batch norm (of two dimensions) by one that stays as it is, also in train mode.

    It is usual for small batches, it is how EGNet trains, and it lets a model from a folded file be trained without
    `calibrate_batch_norm`. The names in the `state_dict` stay, without the counters; `save_model` and `load_model` keep
    the model frozen, and `create_model(name, weights=folder)` makes one with live batch norm of the same weights.

    Args:
        model: Changed in place.

    Raises:
        ValueError: No live batch norm.
    """
    from timm.layers import freeze_batch_norm_2d

    live = _live_batch_norms(model)
    if not live:
        raise ValueError("the model has no live batch norm to freeze")
    if any(norm.running_var is None for norm in live):
        raise ValueError("the model has a batch norm without running statistics, which cannot be frozen")
    freeze_batch_norm_2d(model)


def is_frozen(model: nn.Module) -> bool:
    """Whether a model has batch norms, and all of them are frozen; one that is frozen in part is saved as live."""
    has_statistics = any(isinstance(getattr(module, "running_var", None), Tensor) for module in model.modules())
    return has_statistics and not _live_batch_norms(model)


def _live_batch_norms(model: nn.Module) -> list[_BatchNorm]:
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
            "the batch leaves a batch norm one value per channel, which has no variance; take more images, or larger"
        )
    # by batch norm's own kernel, whose sums in float32 are coarse: train mode will take the same on this batch
    mean, variance = torch.zeros_like(norm.bias), torch.ones_like(norm.bias)
    F.batch_norm(features, mean, variance, training=True, momentum=1.0, eps=norm.eps)
    count = features.numel() // features.shape[1]
    variance = variance * ((count - 1) / count)  # the kernel keeps the unbiased one, and normalises by the other
    running_mean, running_var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    gain = norm.weight.double() / (running_var.double() + norm.eps).sqrt()
    offset = norm.bias.double() - gain * running_mean.double()
    running_mean.copy_(mean)
    running_var.copy_(variance)
    # of the rounded values, since these are what eval mode will use
    norm.weight.copy_(gain * (running_var.double() + norm.eps).sqrt())
    norm.bias.copy_(offset + gain * running_mean.double())
