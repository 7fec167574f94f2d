"""Frozen parts, and learning rates of the encoder's own."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..batch_norm import freeze_batch_norm, live_batch_norms


def freeze(part: nn.Module) -> None:
    """Freeze a part of a model: no gradients, and batch norm uses its running statistics.

    `freeze(model.encoder); fit(model, data)` trains the rest. Randomness in train mode, such as dropout, remains.
    `part.requires_grad_(True)` lets its weights learn again; its batch norms stay frozen, as by
    `dichoseg.training.freeze_batch_norm`. A saved model is loaded with live batch norms, unless all of it is frozen.

    Args:
        part: Part to freeze in place; batch norms inside it are replaced. An existing optimizer must be made again.
    """
    if live_batch_norms(part):
        freeze_batch_norm(part)
    part.requires_grad_(False)


def encoder_of(model: nn.Module) -> nn.Module:
    """Return the encoder of a model; raise a ValueError if it has none."""
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ValueError(f"wanted a model with an `encoder`; got {type(model).__name__}")
    return encoder


def parameter_groups(
    model: nn.Module, learning_rate: float, *, encoder: float = 1.0, weight_decay: float | None = None
) -> list[dict[str, Any]]:
    """Return groups of a model's parameters for an optimizer, with a learning rate of the encoder's own.

    `Optimization(optimizer=lambda _, lr: torch.optim.AdamW(parameter_groups(model, lr, encoder=0.1)))`

    A pretrained encoder usually needs a tenth of the learning rate of a new decoder, or less. Parameters that take no
    gradient are left out. The encoder's groups come last, so that the history of `fit` shows the rate of the rest.

    Args:
        model: Model with an `encoder`, such as a `Segmenter`.
        learning_rate: Learning rate of all but the encoder.
        encoder: Factor of the encoder's learning rate, above 0; use `freeze(model.encoder)` for none.
        weight_decay: Weight decay of convolutions and linear layers; norms, biases and other vectors then have none.
            Default: the optimizer's own, for all.
    """
    part = encoder_of(model)
    for name, value in (("learning_rate", learning_rate), ("encoder", encoder)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0; got {value}")
    if weight_decay is not None and not weight_decay >= 0:
        raise ValueError(f"weight_decay must be 0 or more; got {weight_decay}")
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError("the model has no parameter that takes a gradient; is all of it frozen?")
    of_encoder = set(part.parameters())
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in learning:
        decays = weight_decay is None or parameter.ndim > 1
        groups.setdefault((parameter in of_encoder, not decays), []).append(parameter)
    return [
        {"params": parameters, "lr": learning_rate * (encoder if in_encoder else 1.0)}
        | ({} if weight_decay is None else {"weight_decay": 0.0 if spared else weight_decay})
        for (in_encoder, spared), parameters in sorted(groups.items())
    ]
