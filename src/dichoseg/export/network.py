"""Computation of an exported file, and its comparison with the model."""

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

Preset: TypeAlias = Literal["rembg-dis", "rembg-u2net", "rembg-birefnet"]

TOOLS = {
    "rembg-dis": Preprocessing(size=1024, scale="image_max", mean=(0.5,), std=(1.0,)),
    "rembg-u2net": Preprocessing(size=320, scale="image_max", mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "rembg-birefnet": Preprocessing(size=1024, scale="image_max", mean=IMAGENET_MEAN, std=IMAGENET_STD),
}
"""Preset -> preprocessing of the tool that runs the file, except that the tool resizes with Lanczos."""
TAKES_LOGITS = ("rembg-birefnet",)
"""Presets whose tool applies the sigmoid."""
TOLERANCE = 1e-3
REFERENCE_SIZE = 256
"""Side in pixels of the image to compare on, if the model has no fixed size."""


class Export(NamedTuple):
    """Module to export, with its preprocessing."""

    module: nn.Module
    """Image -> probability, or logits, (B, 1, H, W), in eval mode, on the CPU."""
    network: Model
    """Copy of the model inside the module; its preprocessing has the requested size."""
    preprocessing: Preprocessing
    """Preprocessing that turns a photograph into the module's input."""
    gives_logits: bool = False
    """True if the module leaves the sigmoid to the tool."""

    def probability(self, output: Tensor) -> Tensor:
        """Return the probability that an output of the module stands for."""
        return output.sigmoid() if self.gives_logits else output


def prepare_export(
    model: Model,
    *,
    size: int | tuple[int, int] | None = None,
    preset: Preset | None = None,
    gives_logits: bool = False,
) -> Export:
    """Copy a model and add the sigmoid, unless logits are asked for, and the conversions that a preset's tool needs."""
    model = unwrapped(model)
    if model.preprocessing.source == "mask":
        raise ValueError("this is a GT encoder, which takes masks and is for training only; export the model itself")
    if preset is not None:
        choice("preset", preset, TOOLS)
    network = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    network.preprocessing = model.preprocessing.with_size(size)
    gives_logits = gives_logits or preset in TAKES_LOGITS
    module = FinalMap(network, gives_logits=gives_logits).eval()
    if preset is None:
        return Export(module, network, network.preprocessing, gives_logits)
    if network.preprocessing.resize_policy != "stretch":
        logger.warning(
            "%s stretches photographs to a square; the model was made for %s, so its masks may be worse there",
            preset,
            network.preprocessing.resize_policy,
        )
    return Export(InTool(module, TOOLS[preset]).eval(), network, TOOLS[preset], gives_logits)


class FinalMap(nn.Module):
    """Model without what only training needs: image -> probability, or logits, (B, 1, H, W).

    Args:
        network: Model that computes the logits.
        gives_logits: Whether to leave out the sigmoid.
    """

    def __init__(self, network: Model, *, gives_logits: bool = False) -> None:
        super().__init__()
        self.network = network
        self.gives_logits = gives_logits

    def forward(self, image: Image) -> Tensor:
        """Return the final map."""
        logits = self.network.logits(image)
        return logits if self.gives_logits else logits.sigmoid()


class InTool(nn.Module):
    """Network for a tool's preprocessing: image -> the network's map (B, 1, H, W) at the image's size.

    The tool's mean and std are replaced by the network's, with its scale and its channel order, and the network runs at
    its own size. The tool's division of each image by its largest value is not undone.

    Args:
        inner: Network, with its sigmoid unless the tool applies it.
        tool: Preprocessing of the tool, with a fixed size.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, inner: FinalMap, tool: Preprocessing) -> None:
        super().__init__()
        own = inner.network.preprocessing
        self.inner = inner
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
        """Convert the image to the network's preprocessing, run the network, and resize the map to the image's size."""
        if self.swaps_channels:
            image = image.flip(1)
        if self.normalizes:
            image = image * self.factor + self.offset
        if self.inner_size == self.outer_size:
            return cast(Tensor, self.inner(image))
        shrinking = [max(1, outer // inner) for outer, inner in zip(self.outer_size, self.inner_size, strict=True)]
        image = F.avg_pool2d(image, shrinking)  # so that every pixel counts
        return resize(self.inner(resize(image, self.inner_size)), self.outer_size)


class Reference(NamedTuple):
    """Image, and the model's probability for it."""

    image: Image
    probability: Tensor


def compute_references(export: Export, shapes: Sequence[tuple[int, int, int]]) -> list[Reference]:
    """Run the model on a smooth random image of each shape (batch, height, width)."""
    noise = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    references = []
    for batch, height, width in shapes:
        photograph = resize(noise, (height, width)).expand(batch, -1, -1, -1)
        image = export.preprocessing.normalize(photograph).contiguous()
        try:
            with torch.no_grad():
                probability = export.probability(export.module(image))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(f"the model does not take images of {height} by {width} pixels: {error}") from error
        if spatial_size(probability) != (height, width):
            raise ValueError(f"the model's logits are {tuple(probability.shape)} for an image of {height} by {width}")
        references.append(Reference(image, probability))
    return references


def largest_difference(
    run: Callable[[Image], Tensor], references: Sequence[Reference], *, tolerance: float = TOLERANCE, suspect: str = ""
) -> float:
    """Return the largest difference in probability between a file and the model.

    Args:
        run: Function that runs the file on an image.
        references: Images, and the model's probabilities for them.
        tolerance: Largest allowed difference.
        suspect: Name of the option to blame in the error message.

    Raises:
        RuntimeError: The difference is larger than `tolerance`, or values are not finite.
    """
    largest = 0.0
    for image, probability in references:
        found = run(image)
        difference = float((found - probability).abs().max()) if found.shape == probability.shape else math.inf
        if not difference <= tolerance:
            raise RuntimeError(
                f"the file would differ from the model: on an image of {image.shape[2]} by {image.shape[3]} "
                f"pixels their probabilities differ by {difference:.2g}, more than {tolerance}, so no file is written"
                + (f"; try without {suspect}" if suspect else "")
            )
        largest = max(largest, difference)
    return largest
