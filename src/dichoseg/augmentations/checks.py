"""What augmentations ask of their arguments and of a batch, said once."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch

from ..contracts import Image, Mask


def check_batch(image: Image, mask: Mask) -> None:
    """Refuse what is no batch of images with their masks, before something wrong is made of it.

    Raises:
        ValueError: Other shapes than (B, C, H, W) and (B, 1, H, W), or an empty batch.
        TypeError: An image of anything but floats, or a mask of anything but floats and bool.
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
    """Refuse, with a TypeError, what is no augmentation, such as the name of one."""
    for part in augmentations:
        if not callable(part):
            raise TypeError(f"an augmentation is a function of image and mask, such as RandomRotate90(); got {part!r}")


def checked_probability(name: str, value: float) -> float:
    """A probability; a ValueError outside of 0 to 1, a TypeError where it is no number."""
    return _checked_part(name, value, "be a probability, 0 to 1")


def checked_share(name: str, value: float) -> float:
    """A part of a whole; a ValueError outside of 0 to 1, a TypeError where it is no number."""
    return _checked_part(name, value, "lie in 0 to 1")


def checked_input_scale(input_scale: float) -> float:
    """The scale of an augmentation that crops; a ValueError below 1, a TypeError where it is no number."""
    _check_number("input_scale", input_scale)
    if not 1 <= input_scale < float("inf"):
        raise ValueError(f"input_scale must be 1 or more; got {input_scale}")
    return input_scale


def check_word(name: str, word: str, known: Sequence[str]) -> None:
    """Refuse, with a ValueError, any but some words."""
    if word not in known:
        raise ValueError(f"{name} must be {' or '.join(map(repr, known))}; got {word!r}")


def _checked_part(name: str, value: float, wanted: str) -> float:
    _check_number(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must {wanted}; got {value}")
    return value


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; got {value!r}")
