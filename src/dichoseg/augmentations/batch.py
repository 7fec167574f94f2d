"""Check of image/mask batches."""

from __future__ import annotations

import torch

from ..contracts import Image, Mask


def check_batch(image: Image, mask: Mask) -> None:
    """Check shapes and dtypes of an image/mask batch; a second channel of the mask is its ignored pixels."""
    shapes = [(len(image), channels, *image.shape[2:]) for channels in (1, 2)]
    if image.ndim != 4 or len(image) == 0 or mask.shape not in shapes:
        raise ValueError(
            "an augmentation takes images (B, C, H, W) and masks (B, 1, H, W) of one size; "
            f"got {tuple(image.shape)} and {tuple(mask.shape)}"
        )
    if not (image.is_floating_point() and (mask.is_floating_point() or mask.dtype == torch.bool)):
        raise TypeError(
            "an augmentation takes images and masks of floats in [0, 1]; "
            f"got {image.dtype} and {mask.dtype} (divide bytes by 255)"
        )
