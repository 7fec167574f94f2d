"""Contrast-limited adaptive histogram equalization (CLAHE) that keeps colors."""

from __future__ import annotations

from typing import Any

from kornia.augmentation import RandomClahe
from kornia.color import rgb_to_grayscale
from torch import Tensor


class RandomLumaClahe(RandomClahe):  # type: ignore[misc]
    """Kornia's CLAHE on the luma of an RGB image; the change of the luma is added to all three channels.

    albumentations equalizes only the lightness, too (in Lab, which looks the same and is several times slower on
    tensors). Kornia's own transform equalizes red, green and blue separately, which tints nearly gray areas. Takes
    the arguments of `kornia.augmentation.RandomClahe`.
    """

    def apply_transform(
        self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None
    ) -> Tensor:
        """Image (B, 3, H, W) in [0, 1] -> equalized, in [0, 1]."""
        luma = rgb_to_grayscale(input)  # (B, 1, H, W)
        equalized = super().apply_transform(luma, params, flags, transform)
        return (input + (equalized - luma)).clamp(0, 1)
