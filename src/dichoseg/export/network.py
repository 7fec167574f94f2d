"""What an exported file computes, and how far it is from the model."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import resize, spatial_size
from ..checking import choice
from ..contracts import Image, Model, unwrapped
from ..preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

logger = logging.getLogger(__name__)

Preset: TypeAlias = Literal["rembg-dis", "rembg-u2net"]

TOOLS = {
    "rembg-dis": Preprocessing(size=1024, scale="image_max", mean=(0.5,), std=(1.0,)),
    "rembg-u2net": Preprocessing(size=320, scale="image_max", mean=IMAGENET_MEAN, std=IMAGENET_STD),
}
"""Preset -> what the tool does to a photograph before it runs a file; its resizing filter is Lanczos, though."""
TOLERANCE = 1e-3
REFERENCE_SIZE = 256
"""Side of the image to compare on, if the model has no size of its own, in pixels."""


class Export(NamedTuple):
    """What is exported of a model."""

    module: nn.Module
    """Image -> probability (B, 1, H, W), in eval mode, on the CPU."""
    network: Model
    """The model inside: a copy whose preprocessing has the size that was asked for."""
    preprocessing: Preprocessing
    """How the module's image is made of a photograph."""


def prepare_export(model: Model, *, size: int | tuple[int, int] | None = None, preset: Preset | None = None) -> Export:
    """Copy a model, and wrap it in the sigmoid and the conversions that a preset's tool needs.

    Raises:
        TypeError: `model` is not a model.
        ValueError: The model takes masks, the size is not positive, or the preset is unknown.
    """
    model = unwrapped(model)
    if model.preprocessing.source == "mask":
        raise ValueError("this is a GT encoder, which takes masks and serves training alone; export the model itself")
    if preset is not None:
        choice("preset", preset, TOOLS)
    network = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    network.preprocessing = model.preprocessing.with_size(size)
    module = Probability(network).eval()
    if preset is None:
        return Export(module, network, network.preprocessing)
    if network.preprocessing.resize_policy != "stretch":
        logger.warning(
            "%s stretches photographs to a square; the model was made for %s, so its masks may be worse there",
            preset,
            network.preprocessing.resize_policy,
        )
    return Export(InTool(module, TOOLS[preset]).eval(), network, TOOLS[preset])


class Probability(nn.Module):
    """Image -> probability (B, 1, H, W) in [0, 1].

    Args:
        network: The model that gives the logits.
    """

    def __init__(self, network: Model) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Image) -> Tensor:
        """The sigmoid of the answer alone."""
        return self.network.logits(image).sigmoid()


class InTool(nn.Module):
    """Image as a tool prepares it -> probability (B, 1, H, W) at the image's size.

    The tool's mean and standard deviation give way to the network's, with its scale and its channel order, and the
    network runs at its own size. That the tool has divided each image by its largest value stays.

    Args:
        probability: The network with its sigmoid.
        tool: The tool's preprocessing, of a fixed size.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, probability: Probability, tool: Preprocessing) -> None:
        super().__init__()
        own = probability.network.preprocessing
        self.probability = probability
        self.outer_size = cast("tuple[int, int]", tool.height_width)
        self.inner_size = own.height_width or self.outer_size
        self.swaps_channels = own.channel_order != tool.channel_order
        scale = 255.0 if own.scale == "byte" else 1.0
        tool_mean, tool_std, mean, std = (
            torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1).expand(1, 3, 1, 1)
            for values in (tool.mean, tool.std, own.mean, own.std)
        )
        if self.swaps_channels:
            tool_mean, tool_std = tool_mean.flip(1), tool_std.flip(1)
        factor, offset = scale * tool_std / std, (scale * tool_mean - mean) / std
        self.register_buffer("factor", factor.float())
        self.register_buffer("offset", offset.float())
        self.normalizes = bool((factor != 1).any() or (offset != 0).any())

    def forward(self, image: Image) -> Tensor:
        """Prepare the image as the network needs it, run it, and bring the map back to the image's size."""
        if self.swaps_channels:
            image = image.flip(1)
        if self.normalizes:
            image = image * self.factor + self.offset
        if self.inner_size == self.outer_size:
            return cast(Tensor, self.probability(image))
        shrinking = [max(1, outer // inner) for outer, inner in zip(self.outer_size, self.inner_size, strict=True)]
        image = F.avg_pool2d(image, shrinking)  # so that no pixel is left out
        return resize(self.probability(resize(image, self.inner_size)), self.outer_size)


class Reference(NamedTuple):
    """An image, and what the model makes of it."""

    image: Image
    probability: Tensor


def compute_references(export: Export, shapes: Sequence[tuple[int, int, int]]) -> list[Reference]:
    """Run the model on a smooth random image in each (batch, height, width).

    Raises:
        ValueError: The model does not take a size.
    """
    noise = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    made = []
    for batch, height, width in shapes:
        photograph = resize(noise, (height, width)).expand(batch, -1, -1, -1)
        image = export.preprocessing.normalize(photograph).contiguous()
        try:
            with torch.no_grad():
                probability = export.module(image)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(f"the model does not take images of {height} by {width} pixels: {error}") from error
        if spatial_size(probability) != (height, width):
            raise ValueError(f"the model's logits are {tuple(probability.shape)} for an image of {height} by {width}")
        made.append(Reference(image, probability))
    return made


def largest_difference(
    run: Callable[[Image], Tensor], wanted: Sequence[Reference], *, tolerance: float = TOLERANCE, suspect: str = ""
) -> float:
    """How far a file is from the model, in probability.

    Args:
        run: What the file makes of an image.
        wanted: What it should make of some.
        tolerance: How far it may be.
        suspect: The option that is at fault then, for the message.

    Raises:
        RuntimeError: Further than `tolerance`, or values that are not finite.
    """
    largest = 0.0
    for image, probability in wanted:
        found = run(image)
        difference = float((found - probability).abs().max()) if found.shape == probability.shape else math.inf
        if not difference <= tolerance:
            raise RuntimeError(
                f"the file would not do what the model does: on an image of {image.shape[2]} by {image.shape[3]} "
                f"pixels their probabilities differ by {difference:.2g}, more than {tolerance}, so none is written"
                + (f"; try without {suspect}" if suspect else "")
            )
        largest = max(largest, difference)
    return largest
