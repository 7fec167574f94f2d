"""Side outputs and features of each stage of a model, as it sees one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor, nn

from ..blocks import resize, spatial_size
from ..contracts import Decoder, Features, Image, Logits, Mask, Model, Prediction
from ..masks import edge_band
from ..tracing import evaluating
from .overlays import pixels
from .sheet import TILE, Picture, labelled_sheet, pixelated

LARGEST = 512
"""Sides beyond this many pixels are averaged down before principal components are sought."""


def side_outputs(
    model: Model | Mapping[str, Model], image: Tensor, mask: Tensor | None = None, *, tile: int = TILE
) -> PillowImage.Image:
    """Lay out what each stage of a model makes of an image: does detail survive into the side outputs?

    The rows, each picture with its size in pixels and drawn pixel by pixel, without smoothing:

    - The image at the network's size, the mask, and the model's answer.
    - The features, finest stage first; of a model that enlarges features (`DeconvDecoder`, or `isnet_deconv`, whose
      enlargement stands behind its features), those before and those after the enlargement. No head has ever seen the
      ones before, so there is no map of theirs to show, and none is made up: these are the first three principal
      components over the pixels, as red, green and blue, each stretched to its own range and signed so that it is
      brighter where the answer is foreground. They show where features differ, not what they mean, and the colours of
      one picture say nothing about those of another.
    - The side outputs as probabilities. To see what enlargement is worth, lay the side outputs of a model that was
      trained without it beside them: `side_outputs({"plain": one, "deconv": other}, image, mask)`.

    Side outputs that are not one for each stage, as EGNet's, are numbered in the model's own order. With a mask, each
    tells its edge error: how far its probabilities lie from the mask, cut at one half, on average over
    `edge_band(mask)`, at the network's size, to which logits are resized as in `DeepSupervision`. 0 is right, 0.5 is
    what grey everywhere gets.

    Args:
        model: A model, or several, each with a name. They run in eval mode, where they are, and stay as they are.
        image: (3, H, W), RGB in [0, 1], at any size, such as `read_image` gives it.
        mask: (1, H, W) in [0, 1]; needed by a model that takes masks.
        tile: Side of each tile, in pixels.

    Raises:
        ValueError: No model, an image or a mask of another shape, or no mask for a model that takes masks.
        TypeError: Something that is not a model.
    """
    models = dict(model) if isinstance(model, Mapping) else {"": model}
    if not models:
        raise ValueError("side outputs are those of one model or more; got none")
    for one in models.values():
        if not isinstance(one, Model):
            raise TypeError(f"wanted a model, or several by name; got {type(one).__name__}")
    for kind, part, channels in (("image", image, 3), ("mask", mask, 1)):
        if part is not None and (part.ndim != 3 or part.shape[0] != channels):
            raise ValueError(f"wanted the {kind} as ({channels}, H, W); got {tuple(part.shape)}")
    views = {f"{name}: " if name else "": _seen(one, image, mask) for name, one in models.items()}
    rows = [_top(views)]
    captions = ["at the network's size"]
    for name, view in views.items():
        for kind, features in view.features.items():
            captions.append(f"{name}{kind}, their first three principal components")
            rows.append(_components(features, view.logits))
    for name, view in views.items():
        if view.side_logits:
            captions.append(f"{name}side outputs")
            rows.append(_sides(view))
    table = [{label: pixelated(picture, side=tile) for label, picture in row.items()} for row in rows]
    return labelled_sheet(table, captions=captions, tile=tile)


class _View(NamedTuple):
    """What a model makes of an image: on the CPU, in float32."""

    image: Image
    """(1, 3, H, W) in [0, 1], at the network's size."""
    mask: Mask | None
    logits: Logits
    side_logits: tuple[Logits, ...]
    edge_logits: tuple[Logits, ...]
    features: dict[str, Features]
    """By what they are."""


def _seen(model: Model, image: Tensor, mask: Tensor | None) -> _View:
    """Run a model on an image, and watch its decoders for one that enlarges features; the innermost ends first."""
    preprocessing = model.preprocessing
    seen = preprocessing.resize(image[None].cpu())
    target = None if mask is None else preprocessing.resize(mask[None].cpu())
    source = seen
    if preprocessing.source == "mask":
        if target is None:
            raise ValueError("a model that takes masks needs one: side_outputs(model, image, mask)")
        source = target
    enlargements: list[tuple[Features, Features]] = []

    def watch(decoder: nn.Module, inputs: tuple[Features], output: Features) -> None:
        if not enlargements and _enlarges(inputs[0], output):
            enlargements.append((inputs[0], output))

    hooks = [part.register_forward_hook(watch) for part in model.modules() if isinstance(part, Decoder)]
    try:
        with evaluating(model), torch.no_grad():
            prediction: Prediction = model(preprocessing.normalize(source).to(next(model.parameters())))
    finally:
        for hook in hooks:
            hook.remove()
    features = {"features": prediction.features}
    if enlargements:
        before, after = enlargements[0]
        features = {"features before enlargement": before, "features after enlargement": after}
    return _View(
        seen,
        target,
        prediction.logits.float().cpu(),
        _home(prediction.side_logits),
        _home(prediction.edge_logits),
        {kind: _home(tensors) for kind, tensors in features.items() if tensors},
    )


def _enlarges(before: Features, after: Features) -> bool:
    """Whether some feature comes out of a decoder larger than it went in."""
    return len(before) == len(after) and any(
        grown.shape[-2:].numel() > given.shape[-2:].numel() for given, grown in zip(before, after, strict=True)
    )


def _home(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.float().cpu() for tensor in tensors)


def _top(views: Mapping[str, _View]) -> dict[str, Picture]:
    """Image and mask, and each model's answer and predicted edges."""
    first = next(iter(views.values()))
    row = {f"image\n{_size(first.image)}": pixels(first.image)}
    if first.mask is not None:
        row[f"mask\n{_size(first.mask)}"] = pixels(first.mask)
    for name, view in views.items():
        row[_label(f"{name}answer", view.logits, view.mask)] = pixels(view.logits.sigmoid())
        for index, edges in enumerate(view.edge_logits):
            number = f" {index + 1}" if len(view.edge_logits) > 1 else ""
            row[f"{name}predicted edges{number}\n{_size(edges)}"] = pixels(edges.sigmoid())
    return row


def _components(features: Features, logits: Logits) -> dict[str, Picture]:
    return {
        f"stage {index + 1}\n{_size(feature)}, {feature.shape[1]} channels": _principal_components(feature, logits)
        for index, feature in enumerate(features)
    }


def _sides(view: _View) -> dict[str, Picture]:
    """The side outputs, by stage where there is one for each; the answer is then the finest's, or fuses them all."""
    stages = len(next(iter(view.features.values()), ()))
    maps = {f"stage {index + 1}": logits for index, logits in enumerate(view.side_logits)}
    if len(maps) == stages - 1:
        maps = {f"stage {index + 2}": logits for index, logits in enumerate(view.side_logits)}
        maps = {"stage 1, the answer": view.logits, **maps}
    elif len(maps) != stages:
        maps = {f"side output {index + 1}": logits for index, logits in enumerate(view.side_logits)}
    return {_label(name, logits, view.mask): pixels(logits.sigmoid()) for name, logits in maps.items()}


def _label(name: str, logits: Logits, mask: Mask | None) -> str:
    """The name of a map, its size, and its error on the edge band."""
    if mask is None:
        return f"{name}\n{_size(logits)}"
    band = edge_band(mask)
    errors = (resize(logits, spatial_size(mask)).sigmoid() - (mask > 0.5).float()).abs() * band
    if not band.any():
        return f"{name}\n{_size(logits)}, no edge"
    return f"{name}\n{_size(logits)}, edge error {float(errors.sum() / band.sum()):.2f}"


def _size(batch: Tensor) -> str:
    return f"{batch.shape[-1]}x{batch.shape[-2]}"


def _principal_components(feature: Tensor, logits: Logits) -> Picture:
    """The first three principal components over the pixels of a feature (1, C, h, w), as a picture (h, w, 3)."""
    height, width = (min(side, LARGEST) for side in feature.shape[-2:])
    feature = F.adaptive_avg_pool2d(feature, (height, width))
    values = feature[0].flatten(1).double()  # (C, h*w)
    values = values - values.mean(dim=1, keepdim=True)
    directions = torch.linalg.eigh(values @ values.T).eigenvectors.flip(1)[:, :3]
    components = directions.T @ values  # (up to 3, h*w)
    foreground = F.adaptive_avg_pool2d(logits.sigmoid(), (height, width)).flatten().double()
    signs = torch.where(components @ (foreground - foreground.mean()) < 0, -1.0, 1.0)
    components = components * signs[:, None]
    low, high = (components.quantile(share, dim=1, keepdim=True) for share in (0.01, 0.99))
    stretched = ((components - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    picture = torch.zeros(3, height * width)
    picture[: len(stretched)] = stretched.float()
    return pixels(picture.view(1, 3, height, width))
