"""Side outputs and features of each stage of a model, for one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor, nn

from ..blocks import resize, spatial_size
from ..contracts import Decoder, Features, Image, Logits, Mask, Model, Prediction, unwrapped
from ..masks import edge_band
from ..tracing import evaluating
from .overlays import pixels
from .sheet import TILE, Picture, contact_sheet, pixelate

LARGEST = 512
"""Largest side, in pixels, for principal components; larger features are averaged down to it first."""


def side_outputs(
    model: Model | Mapping[str, Model], image: Tensor, mask: Tensor | None = None, *, tile: int = TILE
) -> PillowImage.Image:
    """Lay out the features and side outputs of each stage of a model, to see which detail survives.

    Rows, each picture with its size in pixels and enlarged without smoothing:

    - The image at the network's size, the mask, and the final prediction.
    - The features, finest stage first. If a model enlarges features (`DeconvDecoder`, or `isnet_deconv`, whose
      enlargement follows its features), those before and those after the enlargement. No head is trained on the ones
      before, so they have no maps; features are shown by their first three principal components over the pixels, as
      red, green and blue, each stretched to its own range and signed so that it is brighter in predicted foreground.
      They show where features differ, not their meaning, and colors cannot be compared between pictures.
    - The side outputs as probabilities. To see the effect of the enlargement, compare with a model that was trained
      without it: `side_outputs({"plain": one, "deconv": other}, image, mask)`.

    Side outputs that are not one per stage, as in EGNet, are numbered in the model's own order. With a mask, each map
    has its edge error: the mean absolute difference of its probabilities from the mask, thresholded at 0.5, over
    `edge_band(mask)`, at the network's size, to which logits are resized as in `DeepSupervision`. 0 is best, 0.5 is the
    error of uniform gray.

    Args:
        model: A model, or several by name. They run in eval mode on their own device, and are not changed.
        image: Image (3, H, W), RGB in [0, 1], at any size, such as from `read_image`.
        mask: Mask (1, H, W) in [0, 1]; required by a model that takes masks.
        tile: Side of each tile, in pixels.
    """
    models = {f"{name}: ": one for name, one in model.items()} if isinstance(model, Mapping) else {"": model}
    if not models:
        raise ValueError("side_outputs needs one model or more; got none")
    for name, tensor, channels in (("image", image, 3), ("mask", mask, 1)):
        if tensor is not None and (tensor.ndim != 3 or tensor.shape[0] != channels):
            raise ValueError(f"{name} must be ({channels}, H, W); got {tuple(tensor.shape)}")
    views = {name: _run(unwrapped(one), image, mask) for name, one in models.items()}
    rows = [_inputs_and_predictions(views)]
    captions = ["at the network's size"]
    for name, view in views.items():
        for kind, features in view.features.items():
            captions.append(f"{name}{kind}, their first three principal components")
            rows.append(_draw_features(features, view.logits))
    for name, view in views.items():
        if view.side_logits:
            captions.append(f"{name}side outputs")
            rows.append(_draw_side_logits(view))
    table = [{label: pixelate(picture, side=tile) for label, picture in row.items()} for row in rows]
    return contact_sheet(table, captions=captions, tile=tile)


class _View(NamedTuple):
    """Results of a model for an image, on the CPU and in float32."""

    image: Image
    """(1, 3, H, W) in [0, 1], at the network's size."""
    mask: Mask | None
    logits: Logits
    side_logits: tuple[Logits, ...]
    edge_logits: tuple[Logits, ...]
    features: dict[str, Features]
    """Features by their kind, such as `features before enlargement`."""


def _run(model: Model, image: Tensor, mask: Tensor | None) -> _View:
    """Run a model on an image, and record the first decoder that enlarges features; inner ones finish first."""
    preprocessing = model.preprocessing
    resized = preprocessing.resize(image[None].cpu())
    target = None if mask is None else preprocessing.resize(mask[None].cpu())
    source = resized
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
        resized,
        target,
        prediction.logits.float().cpu(),
        _to_cpu(prediction.side_logits),
        _to_cpu(prediction.edge_logits),
        {kind: _to_cpu(tensors) for kind, tensors in features.items() if tensors},
    )


def _enlarges(before: Features, after: Features) -> bool:
    """Return whether a decoder makes any feature larger."""
    return len(before) == len(after) and any(
        grown.shape[-2:].numel() > given.shape[-2:].numel() for given, grown in zip(before, after, strict=True)
    )


def _to_cpu(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.float().cpu() for tensor in tensors)


def _inputs_and_predictions(views: Mapping[str, _View]) -> dict[str, Picture]:
    """Return the image, the mask, and each model's final prediction and predicted edges."""
    first = next(iter(views.values()))
    row = {f"image\n{_size(first.image)}": pixels(first.image)}
    if first.mask is not None:
        row[f"mask\n{_size(first.mask)}"] = pixels(first.mask)
    for name, view in views.items():
        row[_label(f"{name}prediction", view.logits, view.mask)] = pixels(view.logits.sigmoid())
        for index, edges in enumerate(view.edge_logits):
            number = f" {index + 1}" if len(view.edge_logits) > 1 else ""
            row[f"{name}predicted edges{number}\n{_size(edges)}"] = pixels(edges.sigmoid())
    return row


def _draw_features(features: Features, logits: Logits) -> dict[str, Picture]:
    return {
        f"stage {index + 1}\n{_size(feature)}, {feature.shape[1]} channels": _principal_components(feature, logits)
        for index, feature in enumerate(features)
    }


def _draw_side_logits(view: _View) -> dict[str, Picture]:
    """Return the side outputs, by stage if there is one per stage; if one is missing, the final logits are stage 1."""
    stages = len(next(iter(view.features.values()), ()))
    maps = {f"stage {index + 1}": logits for index, logits in enumerate(view.side_logits)}
    if len(maps) == stages - 1:
        maps = {f"stage {index + 2}": logits for index, logits in enumerate(view.side_logits)}
        maps = {"stage 1, final": view.logits, **maps}
    elif len(maps) != stages:
        maps = {f"side output {index + 1}": logits for index, logits in enumerate(view.side_logits)}
    return {_label(name, logits, view.mask): pixels(logits.sigmoid()) for name, logits in maps.items()}


def _label(name: str, logits: Logits, mask: Mask | None) -> str:
    """Return the name of a map with its size and its error on the edge band."""
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
    """Draw the first three principal components over the pixels of a feature (1, C, h, w) as a picture (h, w, 3)."""
    height, width = (min(side, LARGEST) for side in feature.shape[-2:])
    feature = F.adaptive_avg_pool2d(feature, (height, width))
    values = feature[0].flatten(1).double()  # (C, h*w)
    values = values - values.mean(dim=1, keepdim=True)
    directions = torch.linalg.eigh(values @ values.T).eigenvectors.flip(1)[:, :3]
    components = directions.T @ values  # (up to 3, h*w)
    foreground = F.adaptive_avg_pool2d(logits.sigmoid(), (height, width)).flatten().double()
    signs = torch.where(components @ (foreground - foreground.mean()) < 0, -1.0, 1.0)
    components = components * signs[:, None]
    low, high = (components.quantile(q, dim=1, keepdim=True) for q in (0.01, 0.99))
    stretched = ((components - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    picture = torch.zeros(3, height * width)
    picture[: len(stretched)] = stretched.float()
    return pixels(picture.view(1, 3, height, width))
