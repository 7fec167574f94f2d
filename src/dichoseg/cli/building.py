"""What the options of `dichoseg train` name, built: network, losses, augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import registry
from .options import tell

if TYPE_CHECKING:
    from torch import nn

    from ..contracts import Augmentation, Model, Objective
    from ..data import FolderDataset
    from ..data.folder import Transform


def make_network(
    model: str | None,
    parts: dict[str, str | None],
    *,
    pretrained: bool,
    weights: Path | None,
    size: int | None,
    seed: int,
) -> Model:
    """Make the network that --model, --encoder, --decoder, --heads or --weights name, at --size pixels."""
    from ..runtime.seeding import seeded
    from ..weights import create_model, load_model

    recipe: dict[str, Any] = {part: name for part, name in parts.items() if name is not None}
    with seeded(seed):
        if weights is not None and model is None and not recipe and not pretrained:
            return load_model(weights, size=size)
        return create_model(model or "isnet", weights=weights, pretrained=pretrained, size=size, **recipe)


def described(network: Model) -> str:
    """Return the name of a network, with the parts that were swapped in it."""
    recipe = network.recipe or {}
    swapped = " and ".join(f"{kind} {recipe[kind]}" for kind in ("encoder", "decoder", "heads") if kind in recipe)
    name = str(recipe.get("name", "model"))
    return f"{name} with {swapped}" if swapped else name


def calibrate(network: Model, training: FolderDataset, batch_size: int) -> None:
    """Give the batch norms of a network from a folded file the statistics of some of its training images."""
    import torch

    from ..batch_norm import calibrate_batch_norm

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


def edge_part(
    network: Model, edge_loss: str | None, parts: dict[str, tuple[float, Objective]]
) -> dict[str, tuple[float, Objective]]:
    """Return the supervision of the edges that a network predicts, if it is asked for or no other part has it."""
    from ..objectives import EdgeSupervision
    from ..tracing import predicts_edges

    has_other = any(isinstance(objective, EdgeSupervision) for _, objective in parts.values())
    if edge_loss is None and (has_other or not predicts_edges(network)):
        return {}
    name, weight = weighted_name(edge_loss or "balanced_bce")
    supervision = EdgeSupervision(registry.make_component("losses", name))
    supervision.check(network)
    return {"predicted_edges": (weight, supervision)}


def weighted_name(text: str) -> tuple[str, float]:
    """Split NAME[(key=value, ...)][:WEIGHT] into name and weight."""
    head, colon, tail = text.rpartition(":")
    if not colon or ")" in tail:
        return text, 1.0
    try:
        weight = float(tail)
    except ValueError:
        raise ValueError(f"wanted NAME or NAME:WEIGHT, the weight a number; got {text!r}") from None
    if not 0 < weight < float("inf"):
        raise ValueError(f"a weight must be a finite number above 0; got {text!r}")
    return head, weight


def objective_parts(losses: list[str], objectives: list[str]) -> dict[str, tuple[float, Objective]]:
    """Return the parts of a `WeightedSum`: losses under deep supervision, and objectives as they are."""
    from ..objectives import DeepSupervision

    parts: dict[str, tuple[float, Objective]] = {}
    seen: list[registry.ComponentName] = []
    all_second_terms = True
    for group, texts in (("losses", losses), ("objectives", objectives)):
        for text in texts:
            name, weight = weighted_name(text)
            made = registry.make_component(group, name)
            all_second_terms &= getattr(made, "second_term", False)
            parsed = registry.ComponentName.parse(name)
            if parsed in seen:
                raise ValueError(f"{name!r} is given twice")
            seen.append(parsed)
            same = sum(one.name == parsed.name for one in seen)
            key = parsed.name if same == 1 else f"{parsed.name}_{same}"
            parts[key] = (weight, made if group == "objectives" else DeepSupervision(made))
    if all_second_terms:
        tell(f"{' and '.join(parts)} would leave the inside of the object unsupervised: bce is added")
        parts = {"bce": (1.0, DeepSupervision()), **parts}
    return parts


def make_augmentation(names: list[str]) -> Augmentation | None:
    """Return the augmentations of these names, one after the other."""
    steps = [registry.make_component("augmentations", name) for name in names]
    if len(steps) < 2:
        return steps[0] if steps else None
    from ..augmentations import Compose

    return Compose(*steps)


def make_transform(preset: str | None, size: int | tuple[int, int]) -> Transform | None:
    """Return the workers' augmentation of that name, for images of that size."""
    if preset is None:
        return None
    from ..augmentations import cpu_augmentation

    name = registry.ComponentName.parse(preset)
    if name._replace(keywords={}) != (name.name, None, None, (), {}) or "size" in name.keywords:
        raise ValueError(f"wanted a preset with steps by name, as in 'strong(jpeg=0.5)'; got {preset!r}")
    return cpu_augmentation(name.name, size=size, **name.keywords)


def encoder_of(network: Model, option: str) -> nn.Module:
    """A network's encoder; a ValueError that names the option where it has none."""
    from torch import nn

    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ValueError(f"{option} needs a network with an encoder; {type(network).__name__} has none")
    return encoder
