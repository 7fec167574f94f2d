"""What the options of `dichoseg train` name, built: network, losses, augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import registry
from .options import tell

if TYPE_CHECKING:
    from torch import nn

    from ..augmentations.gpu import Augmentation
    from ..contracts import Model, Objective
    from ..data import FolderDataset
    from ..data.folder import Transform


def make_network(
    model: str | None,
    encoder: str | None,
    decoder: str | None,
    *,
    pretrained: bool,
    weights: Path | None,
    size: int | None,
    seed: int,
) -> Model:
    """The network that --model, --encoder, --decoder or --weights name, at --size pixels."""
    import dataclasses

    from ..models import create_model, load_model
    from ..training.loading import seeded

    recipe: dict[str, Any] = {
        key: value for key, value in (("encoder", encoder), ("decoder", decoder)) if value is not None
    }
    if pretrained:
        recipe["encoder_args"] = {"pretrained": True}
    with seeded(seed):
        if weights is not None and model is None and not recipe:
            network = load_model(weights)
        else:
            network = create_model(model or "isnet", weights=weights, **recipe)
    if size is not None:
        network.preprocessing = dataclasses.replace(network.preprocessing, size=size)
    return network


def described(network: Model) -> str:
    """What a network is called, with the parts that were swapped in it."""
    recipe = network.recipe or {}
    swapped = " and ".join(f"{kind} {recipe[kind]}" for kind in ("encoder", "decoder") if kind in recipe)
    name = str(recipe.get("name", "model"))
    return f"{name} with {swapped}" if swapped else name


def calibrate(network: Model, training: FolderDataset, batch_size: int) -> None:
    """Give the batch norms of a network from a folded file the statistics of some of its training images."""
    import torch

    from ..models.weights import calibrate_batch_norm

    preprocessing = network.preprocessing
    indices = torch.linspace(0, len(training) - 1, min(len(training), max(batch_size, 2))).round().int().tolist()
    samples = [training[index] for index in indices]
    pictures = [sample.mask if preprocessing.source == "mask" else sample.image for sample in samples]
    images = [preprocessing.normalize(preprocessing.resize(picture[None])) for picture in pictures]
    if preprocessing.size is None:
        images = images[:1]
    calibrate_batch_norm(network, torch.cat(images))
    tell(
        f"the weights' batch norms were folded away: calibrated on {len(images)} training images, which leaves the "
        "function as it is (--freeze-batch-norm keeps them out of training instead)",
    )


def edge_part(network: Model, edge_loss: str | None) -> dict[str, tuple[float, Objective]]:
    """Supervision of the edges that a network predicts, where it predicts any or where it is asked for."""
    from ..losses import EdgeSupervision
    from ..losses.objectives import predicts_edges

    if edge_loss is None and not predicts_edges(network):
        return {}
    make, weight = _loss(edge_loss or "balanced_bce")
    supervision = EdgeSupervision(make())
    supervision.check(network)
    return {"predicted_edges": (weight, supervision)}


def _loss(text: str) -> tuple[Any, float]:
    """The class and the weight of NAME[:WEIGHT]."""
    parsed = registry.ComponentName.parse(text)
    try:
        weight = float(parsed.argument or 1)
    except ValueError:
        raise ValueError(f"a loss is NAME or NAME:WEIGHT, the weight a number; got {text!r}") from None
    if not 0 < weight < float("inf"):
        raise ValueError(f"the weight of a loss must be a finite number above 0; got {text!r}")
    return registry.load_component("losses", text.partition(":")[0]), weight


def loss_parts(losses: list[str]) -> dict[str, tuple[float, Objective]]:
    """The parts of a `WeightedSum`, from NAME[:WEIGHT] each."""
    from ..losses import BCELoss, DeepSupervision

    parts: dict[str, tuple[float, Objective]] = {}
    all_second_terms = True
    for text in losses:
        make, weight = _loss(text)
        name = registry.ComponentName.parse(text).name
        if name in parts:
            raise ValueError(f"loss {name!r} is given twice")
        second_term = getattr(make, "second_term", False)
        all_second_terms &= second_term
        parts[name] = (weight, DeepSupervision(make(), side_weight=0.0 if second_term else 1.0))
    if all_second_terms:
        tell(f"{' and '.join(parts)} would leave the inside of the object unsupervised: bce is added")
        parts = {"bce": (1.0, DeepSupervision(BCELoss())), **parts}
    return parts


def make_augmentation(names: list[str]) -> Augmentation | None:
    """The augmentations of these names, one after the other."""
    steps = [registry.load_component("augmentations", name)() for name in names]
    if len(steps) < 2:
        return steps[0] if steps else None
    from ..augmentations import Compose

    return Compose(*steps)


def make_transform(preset: str | None, size: int) -> Transform | None:
    """The workers' augmentation of that name, for images of that size."""
    if preset is None:
        return None
    from ..augmentations import cpu_augmentation

    return cpu_augmentation(preset, size=size)


def encoder_of(network: Model, option: str) -> nn.Module:
    """A network's encoder; a ValueError that names the option where it has none."""
    from torch import nn

    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ValueError(f"{option} needs a network with an encoder; {type(network).__name__} has none")
    return encoder
