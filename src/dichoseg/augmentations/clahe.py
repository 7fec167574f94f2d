"""Contrast-limited adaptive histogram equalisation that keeps colours."""

from __future__ import annotations

from typing import Any

from kornia.augmentation import RandomClahe
from kornia.color import rgb_to_grayscale
from torch import Tensor


class RandomLumaClahe(RandomClahe):  # type: ignore[misc]
    """Kornia's CLAHE on the luma of an RGB image; all three channels then move by the luma's change.

    albumentations equalises lightness alone as well (of Lab, which looks the same and is several times slower on
    tensors). Kornia's own transform equalises red, green and blue apart, which tints whatever is nearly grey. Takes
    the arguments of `kornia.augmentation.RandomClahe`.
    """

    def apply_transform(
        self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None
    ) -> Tensor:
        """Image (B, 3, H, W) in [0, 1] -> equalised, in [0, 1]."""
        luma = rgb_to_grayscale(input)  # (B, 1, H, W)
        equalized = super().apply_transform(luma, params, flags, transform)
        return (input + (equalized - luma)).clamp(0, 1)
