"""Which parameters learn, and how fast."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..batch_norm import freeze_batch_norm


def freeze(part: nn.Module) -> None:
    """Keep a part of a model as it is: no gradients, and batch norm with the statistics it has.

    `freeze(model.encoder); fit(model, data)` trains the rest. What is random in train mode, such as dropout, stays so.
    `part.requires_grad_(True)` lets its weights learn again; its batch norms stay frozen, as by
    `dichoseg.training.freeze_batch_norm`. A saved model is loaded with live ones, unless all of it is frozen.

    Args:
        part: Changed in place, batch norms inside it replaced. An optimiser that is there already is to be made anew.
    """
    if any(isinstance(module, _BatchNorm) for module in part.modules()):
        freeze_batch_norm(part)
    part.requires_grad_(False)


def parameter_groups(
    model: nn.Module, learning_rate: float, *, encoder: float = 1.0, weight_decay: float | None = None
) -> list[dict[str, Any]]:
    """Groups of a model's parameters for an optimiser, so that the encoder learns at a rate of its own.

    `fit(model, data, optimizer=lambda _: torch.optim.AdamW(parameter_groups(model, 1e-3, encoder=0.1)))`

    A pretrained encoder mostly wants a tenth of what a new decoder does, or less. Parameters that take no gradient are
    left out. The encoder's groups come last, so that the history of `fit` shows the rate of the rest.

    Args:
        model: A model with an `encoder`, such as a `Segmenter`.
        learning_rate: Of all but the encoder.
        encoder: The encoder's rate as a multiple of `learning_rate`, above 0; `freeze(model.encoder)` is for none.
        weight_decay: Of convolutions and linear layers; norms, biases and other vectors then have none. Default: the
            optimiser's own, for all.

    Raises:
        ValueError: A model without an encoder, one that is frozen as a whole, a rate or a factor that is not above 0,
            or a negative decay.
    """
    part = getattr(model, "encoder", None)
    if not isinstance(part, nn.Module):
        raise ValueError(f"parameter_groups needs a model with an `encoder`; got {type(model).__name__}")
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
