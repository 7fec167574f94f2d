"""Averaging of a network's logits over several sizes of the input, and over mirrored inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..blocks import resize, spatial_size
from ..contracts import Image, Logits


def average_logits(
    run: Callable[[Image], Logits], image: Image, *, scales: Sequence[float] = (0.75, 1.0, 1.125), flips: bool = True
) -> Logits:
    """Average the logits of an image at several sizes, with those of the mirrored image.

    Source: the published inference of MVANet (arXiv:2404.07445), with the default scales.

    Args:
        run: Function image -> logits, such as `model.logits`.
        image: Normalized image (B, C, H, W).
        scales: Factors of the image's size, to which it is resized bilinearly.
        flips: Whether to mirror the image at each size, too.

    Returns:
        Logits (B, 1, H, W).
    """
    size = spatial_size(image)
    maps = []
    for mirrored in (False, True) if flips else (False,):
        view = image.flip(3) if mirrored else image
        for scale in scales:
            logits = resize(run(resize(view, (round(size[0] * scale), round(size[1] * scale)))), size)
            maps.append(logits.flip(3) if mirrored else logits)
    return torch.stack(maps).mean(dim=0)
