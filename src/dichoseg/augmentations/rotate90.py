"""Random quarter turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checking import number
from ..contracts import Image, Mask
from .batch import check_batch


class RandomRotate90(nn.Module):
    """Turn image and mask by a random number of quarter turns, exactly, without resampling.

    As albumentations' transform of that name: no turn is among the four that are drawn. A batch of images that
    are not square turns by half turns only, since its shape must stay.

    Args:
        p: Probability, per image, that a turn is drawn.

    Raises:
        ValueError: A probability outside of 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = number("p", p, high=1)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) and mask (B, 1, H, W) -> both turned alike."""
        check_batch(image, mask)
        count = len(image)
        step = 1 if image.shape[-2] == image.shape[-1] else 2
        turns = torch.randint(4 // step, (count,)) * step * (torch.rand(count) < self.p)

        def turned(batch: Tensor) -> Tensor:
            return torch.stack([one.rot90(turn, (-2, -1)) for one, turn in zip(batch, turns.tolist(), strict=True)])

        return turned(image), turned(mask)
