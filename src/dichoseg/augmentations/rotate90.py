"""Random quarter turns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checking import number
from ..contracts import Image, Mask
from .batch import check_batch


class RandomRotate90(nn.Module):
    """Random rotation of image and mask by quarter turns, exact, without resampling.

    As in albumentations' transform of that name, zero turns is one of the four outcomes. If the images are not
    square, only half turns are used, because the shape of the batch must not change.

    Args:
        p: Probability that a number of turns is drawn for an image.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = number("p", p, high=1)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) and mask (B, 1, H, W) -> both rotated alike."""
        check_batch(image, mask)
        count = len(image)
        step = 1 if image.shape[-2] == image.shape[-1] else 2
        turns = torch.randint(4 // step, (count,)) * step * (torch.rand(count) < self.p)

        def turned(batch: Tensor) -> Tensor:
            return torch.stack([one.rot90(turn, (-2, -1)) for one, turn in zip(batch, turns.tolist(), strict=True)])

        return turned(image), turned(mask)
