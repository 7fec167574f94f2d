"""Augmentation of one sample, with the places of blurred patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..augmentations.blur_patches import Patch, RandomBlurPatches
from ..augmentations.compose import Compose
from ..blocks import spatial_size
from ..contracts import Augmentation, Image, Mask, Sample
from ..data.folder import Transform
from ..preprocessing import Preprocessing
from .overlays import Box


class Draw(NamedTuple):
    """Sample as the network and the loss would see it, before normalization."""

    image: Image
    """(1, 3, H, W) in [0, 1]."""
    mask: Mask
    """(1, 1, H, W) in [0, 1]."""
    boxes: tuple[Box, ...] = ()
    """Blurred patches that no later step moved."""


def prepared(
    sample: Sample, preprocessing: Preprocessing, *, scale: float = 1.0, patches: Sequence[Patch] = ()
) -> Draw:
    """Resize a sample, and the boxes of its blurred patches, to the network's size.

    Args:
        sample: Sample at its native size.
        preprocessing: Preprocessing of the network.
        scale: Factor on the network's size, above 1 if an augmentation will crop.
        patches: Blurred patches, in pixels of the sample.
    """
    image, mask = (preprocessing.resize(part[None], scale=scale) for part in (sample.image, sample.mask))
    height, width = spatial_size(mask)
    content = preprocessing.content_size(*sample.mask.shape[-2:], scale=scale)  # smaller than the whole in a letterbox
    down, across = content[0] / height, content[1] / width
    boxes = boxes_of(patches, *sample.mask.shape[-2:])
    moved = (Box(box.top * down, box.left * across, box.bottom * down, box.right * across) for box in boxes)
    return Draw(image, mask, tuple(moved))


@contextmanager
def watched(blurs: Sequence[RandomBlurPatches]) -> Iterator[list[Patch]]:
    """Record the patches that modules draw inside the block, and restore the modules afterwards."""
    seen: list[Patch] = []

    def watching(draw: Callable[[Tensor, torch.Generator], list[Patch]]) -> Callable[..., list[Patch]]:
        def drawing(edge: Tensor, generator: torch.Generator) -> list[Patch]:
            patches = draw(edge, generator)
            seen.extend(patches)
            return patches

        return drawing

    for blur in blurs:
        vars(blur)["draw"] = watching(blur.draw)
    try:
        yield seen
    finally:
        for blur in blurs:
            del vars(blur)["draw"]


def boxes_of(patches: Sequence[Patch], height: int, width: int) -> tuple[Box, ...]:
    """Convert patches in an image of `height` by `width` pixels to boxes."""
    corners = [(patch.row - patch.side // 2, patch.column - patch.side // 2, patch.side) for patch in patches]
    return tuple(
        Box(
            max(top, 0) / height,
            max(left, 0) / width,
            min(top + side, height) / height,
            min(left + side, width) / width,
        )
        for top, left, side in corners
    )


def augmented(draw: Draw, augmentation: Augmentation) -> Draw:
    """Apply an augmentation, step by step if it is a `Compose`.

    A step that may have moved pixels drops all boxes so far, its own included: one that changes the mask, or whose mask
    is its own mirror image and so cannot tell.
    """
    for step in _steps(augmentation):
        parts = step.modules() if isinstance(step, nn.Module) else ()
        with watched([part for part in parts if isinstance(part, RandomBlurPatches)]) as patches:
            image, mask = step(draw.image, draw.mask)
        boxes = (*draw.boxes, *boxes_of(patches, *spatial_size(image))) if _keeps_places(draw.mask, mask) else ()
        draw = Draw(image, mask, boxes)
    return draw


def blurs_at_the_end(transform: Transform) -> list[RandomBlurPatches]:
    """Return the modules that blur patches in an albumentations pipeline, if no later step moves pixels.

    Args:
        transform: A `SeededTransform` or an albumentations `Compose`; anything else gives an empty list.
    """
    from ..augmentations import BlurPatchesTransform

    blurs: list[RandomBlurPatches] = []
    for step in getattr(getattr(transform, "pipeline", transform), "transforms", ()):
        if isinstance(step, BlurPatchesTransform):
            blurs.append(step.blur_patches)
        elif "mask" in getattr(step, "targets", ("mask",)):  # a step that moves pixels also moves the mask's
            blurs.clear()
    return blurs


def _steps(augmentation: Augmentation) -> list[Augmentation]:
    if isinstance(augmentation, Compose):
        return [step for part in augmentation.augmentations for step in _steps(part)]
    return [augmentation]


def _keeps_places(before: Mask, after: Mask) -> bool:
    """Return whether a step that changed mask `before` to `after` has certainly moved no pixels."""
    if after is before:
        return True
    return torch.equal(before, after) and not any(torch.equal(before, before.flip(side)) for side in (-2, -1))
