"""Checks of image/mask batches and of augmentations."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..contracts import Image, Mask


def check_batch(image: Image, mask: Mask) -> None:
    """Check shapes and dtypes of an image/mask batch.

    Raises:
        ValueError: Shapes are not (B, C, H, W) and (B, 1, H, W), or the batch is empty.
        TypeError: The image is not float, or the mask is neither float nor bool.
    """
    fits = image.ndim == 4 and len(image) > 0 and mask.shape == (len(image), 1, *image.shape[2:])
    if not fits:
        raise ValueError(
            "an augmentation takes images (B, C, H, W) and masks (B, 1, H, W) of one size; "
            f"got {tuple(image.shape)} and {tuple(mask.shape)}"
        )
    if not (image.is_floating_point() and (mask.is_floating_point() or mask.dtype == torch.bool)):
        raise TypeError(
            "an augmentation takes images and masks of floats in [0, 1]; "
            f"got {image.dtype} and {mask.dtype} (divide bytes by 255)"
        )


def check_functions(augmentations: Sequence[object]) -> None:
    """Raise a TypeError if an augmentation is not callable, such as the name of one."""
    for part in augmentations:
        if not callable(part):
            raise TypeError(f"an augmentation is a function of image and mask, such as RandomRotate90(); got {part!r}")
