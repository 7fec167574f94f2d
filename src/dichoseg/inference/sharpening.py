"""Finer borders for photographs that are much larger than a network's input."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks import resize
from ..masks import edge_band

BAND = 0.01
"""What lies so near to the border may change, as a share of the photograph's longer side."""
OVERLAP = 0.25
"""Share of a view's side that it has in common with the next one, at least."""
CERTAIN = 0.9
"""Probability from which on the first map is trusted to know foreground from background."""
TOLERANCE = 0.2
"""Mean error of a view on what is certain nearby, up to which it is believed; at twice as much it is not."""
UNSEEN = 0.02
"""Share of a neighbourhood that counts as an error, so that nothing is confirmed where next to nothing is certain."""


def is_much_larger(height: int, width: int, size: tuple[int, int]) -> bool:
    """Return whether views would show a photograph noticeably larger than the network's whole input does."""
    return max(height / size[0], width / size[1]) >= 1.5


def sharpened(
    image: Tensor, probability: Tensor, predict: Callable[[Tensor], Tensor], *, size: tuple[int, int]
) -> Tensor:
    """Look again, at the photograph's own pixels, where the border runs.

    Square views of `size` pixels that overlap are predicted like photographs of their own, where the border between
    foreground and background crosses them. What they say replaces the first map near that border alone, and only where
    they agree with it about the pixels around that are certainly foreground and certainly background: a view sees no
    context, so it may take a part of an object for background, or something behind it for the object. Views fade out
    towards their edges, so that none shows.

    Coarse to fine with a local correction is the idea of CascadePSP (arXiv:2005.02551); here the network itself
    corrects, untrained for it, and the agreement stands in for what their refinement network has learnt.

    Args:
        image: The photograph, (1, C, H, W) in [0, 1].
        probability: Its map, (1, 1, H, W) in [0, 1], as the network sees it whole.
        predict: From a view (1, C, h, w) to its map (1, 1, h, w).
        size: Height and width of the network's input, in pixels.

    Returns:
        The map with finer borders, (1, 1, H, W) in [0, 1].
    """
    height, width = image.shape[-2:]
    if not is_much_larger(height, width, size):
        return probability
    ratio = max(height / size[0], width / size[1])
    reach = max(3, round(BAND * max(size)))  # in pixels of the network's input
    border = edge_band(_reduced(probability, ratio), 2 * reach + 1)
    band = resize(_mean(border, reach // 2), (height, width))  # soft, so that what may change ends gradually
    view_height, view_width = min(size[0], height), min(size[1], width)
    change, weight = torch.zeros_like(probability), torch.zeros_like(probability)
    for top in _starts(view_height, height):
        for left in _starts(view_width, width):
            view = (..., slice(top, top + view_height), slice(left, left + view_width))
            if band[view].any():
                finer, coarse = predict(image[view]), probability[view]
                fading = _fading(top, view_height, height).view(-1, 1) * _fading(left, view_width, width)
                fading = fading.to(finer.device)
                change[view] += fading * _agreement(finer, coarse, ratio, reach) * (finer - coarse)
                weight[view] += fading
    return probability + change / weight.clamp(min=1) * band


def _agreement(finer: Tensor, coarse: Tensor, ratio: float, reach: int) -> Tensor:
    """Where a view is to be believed, in [0, 1]: it confirms foreground and background around each pixel."""
    seen, known = _reduced(finer, ratio), _reduced(coarse, ratio)
    error = torch.zeros_like(seen)
    for certain, wrong in ((known > CERTAIN, 1 - seen), (known < 1 - CERTAIN, seen)):
        share = _mean(certain.to(seen), 2 * reach)
        error = error.maximum((_mean(certain * wrong, 2 * reach) + UNSEEN) / (share + UNSEEN))
    agreement = _mean((2 - error / TOLERANCE).clamp(0, 1), reach // 2)
    return resize(agreement, (finer.shape[-2], finer.shape[-1]))


def _reduced(probability: Tensor, ratio: float) -> Tensor:
    """A map at the scale of the network's input."""
    height, width = (max(1, round(side / ratio)) for side in probability.shape[-2:])
    return F.interpolate(probability, (height, width), mode="area")


def _mean(values: Tensor, radius: int) -> Tensor:
    """Mean over a square around each pixel; at the photograph's border over what there is of it."""
    return F.avg_pool2d(values, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)


def _starts(view: int, length: int) -> list[int]:
    """Where views begin along a side, evenly spread so that the last one ends with the photograph."""
    steps = math.ceil((length - view) / (view * (1 - OVERLAP)))
    return [round(index * (length - view) / steps) for index in range(steps)] + [length - view]


def _fading(start: int, view: int, length: int) -> Tensor:
    """Weights along a view's side: one, but falling to zero over half the overlap towards a neighbour.

    The weights of two neighbours sum to one or more everywhere.
    """
    ahead = torch.arange(view) + 0.5
    distance = torch.full((view,), float(view))
    if start > 0:
        distance = distance.minimum(ahead)
    if start + view < length:
        distance = distance.minimum(view - ahead)
    return (distance / (view * OVERLAP / 2)).clamp(max=1)
