"""Refinement of borders in photographs that are much larger than a network's input."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks import resize
from ..masks import edge_band

BAND = 0.01
"""Distance from the border within which the map may change, as a fraction of the photograph's longer side."""
OVERLAP = 0.25
"""Minimum fraction of a view's side that overlaps with the next view."""
CERTAIN = 0.9
"""Probability above which a pixel of the first map is certainly foreground; below one minus it, background."""
TOLERANCE = 0.2
"""Mean error of a view on certain pixels nearby up to which it is fully trusted; at twice as much, not at all."""
UNSEEN = 0.02
"""Fraction of a neighborhood that counts as error, so that a view is not trusted if hardly any pixel is certain."""


def is_much_larger(height: int, width: int, size: tuple[int, int]) -> bool:
    """Return whether a photograph is at least 1.5 times as high or as wide as the network's input."""
    return max(height / size[0], width / size[1]) >= 1.5


def sharpened(
    image: Tensor,
    probability: Tensor,
    predict: Callable[[Tensor], Tensor],
    *,
    size: tuple[int, int],
    everywhere: bool = False,
) -> Tensor:
    """Refine a map along the border between foreground and background, at the photograph's own resolution.

    Overlapping views of `size` pixels are predicted like separate photographs if the border crosses them. A view
    replaces the first map only near the border, and only where both agree about the certain foreground and background
    pixels around. A view has no context, so it may take part of an object for background, or something behind the
    object for foreground. Views fade out toward their edges, so that no seams show.

    Coarse to fine with a local correction is the idea of CascadePSP (arXiv:2005.02551). Here the network itself makes
    the correction, without training for it, and the agreement replaces what their refinement network has learned.

    Args:
        image: Photograph, (1, C, H, W) in [0, 1].
        probability: Map of the whole photograph, (1, 1, H, W) in [0, 1].
        predict: Function from a view (1, C, h, w) to its map (1, 1, h, w).
        size: Height and width of the network's input, in pixels.
        everywhere: Whether to predict all views, and to change the map wherever they agree with it, not only near the
            border: for thin structures that the first map misses.

    Returns:
        Map with refined borders, (1, 1, H, W) in [0, 1].
    """
    height, width = image.shape[-2:]
    if not is_much_larger(height, width, size):
        return probability
    ratio = max(height / size[0], width / size[1])
    reach = max(3, round(BAND * max(size)))  # in pixels of the network's input
    border = edge_band(_downscale(probability, ratio), 2 * reach + 1)
    band = resize(_mean(border, reach // 2), (height, width))  # soft, so that the change ends gradually
    band = torch.ones_like(band) if everywhere else band
    view_height, view_width = min(size[0], height), min(size[1], width)
    change, weight = torch.zeros_like(probability), torch.zeros_like(probability)
    for top in _starts(view_height, height):
        for left in _starts(view_width, width):
            view = (..., slice(top, top + view_height), slice(left, left + view_width))
            if band[view].any():
                finer, coarse = predict(image[view]), probability[view]
                fading = _fade(top, view_height, height).view(-1, 1) * _fade(left, view_width, width)
                fading = fading.to(finer.device)
                change[view] += (
                    fading * _agreement(finer, coarse, ratio, reach, of_both=not everywhere) * (finer - coarse)
                )
                weight[view] += fading
    return probability + change / weight.clamp(min=1) * band


def count_views(height: int, width: int, size: tuple[int, int]) -> int:
    """Return the number of views that cover a photograph; along its border there are fewer."""
    return len(_starts(min(size[0], height), height)) * len(_starts(min(size[1], width), width))


def _agreement(finer: Tensor, coarse: Tensor, ratio: float, reach: int, *, of_both: bool) -> Tensor:
    """Return how far a view is trusted, in [0, 1]: how well it confirms the certain pixels around each pixel.

    With `of_both`, it must confirm foreground and background, as there are near a border; else what there is.
    """
    seen, known = _downscale(finer, ratio), _downscale(coarse, ratio)
    kinds = [(known > CERTAIN, 1 - seen), (known < 1 - CERTAIN, seen)]
    fractions = torch.stack([_mean(certain.to(seen), 2 * reach) for certain, _ in kinds])
    wrong = torch.stack([_mean(certain * error, 2 * reach) for certain, error in kinds])
    if not of_both:
        fractions, wrong = fractions.sum(dim=0, keepdim=True), wrong.sum(dim=0, keepdim=True)
    error = ((wrong + UNSEEN) / (fractions + UNSEEN)).amax(dim=0)
    agreement = _mean((2 - error / TOLERANCE).clamp(0, 1), reach // 2)
    return resize(agreement, (finer.shape[-2], finer.shape[-1]))


def _downscale(probability: Tensor, ratio: float) -> Tensor:
    """Downscale a map to the scale of the network's input."""
    height, width = (max(1, round(side / ratio)) for side in probability.shape[-2:])
    return F.interpolate(probability, (height, width), mode="area")


def _mean(values: Tensor, radius: int) -> Tensor:
    """Average over a square around each pixel, ignoring the padding at the photograph's border."""
    return F.avg_pool2d(values, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)


def _starts(view: int, length: int) -> list[int]:
    """Return the starts of views along a side, evenly spaced so that the last view ends with the photograph."""
    steps = math.ceil((length - view) / (view * (1 - OVERLAP)))
    return [round(index * (length - view) / steps) for index in range(steps)] + [length - view]


def _fade(start: int, view: int, length: int) -> Tensor:
    """Return weights along a view's side: 1, falling to 0 over half the overlap toward a neighbor.

    The weights of two neighbors sum to 1 or more everywhere.
    """
    ahead = torch.arange(view) + 0.5
    distance = torch.full((view,), float(view))
    if start > 0:
        distance = distance.minimum(ahead)
    if start + view < length:
        distance = distance.minimum(view - ahead)
    return (distance / (view * OVERLAP / 2)).clamp(max=1)
