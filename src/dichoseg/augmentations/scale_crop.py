"""Random crops of random size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checking import number
from ..contracts import Image, Mask
from .batch import check_batch


class RandomScaleCrop(nn.Module):
    """Random crop of random size of each image and mask, resized to one size.

    The window's side lies between the output's, which shows the input's full detail, and the whole input's; its
    logarithm is uniformly distributed. A network trained at a small size thus sees objects at the scales that they
    have in a larger input. `fit` loads images `input_scale` times as large as the model's size.

    Args:
        input_scale: Ratio of the input's side to the output's, 1 or more.
    """

    def __init__(self, input_scale: float = 2.0) -> None:
        super().__init__()
        self.input_scale = number("input_scale", input_scale, low=1)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) and mask (B, 1, H, W) -> both cropped alike, sides divided by `input_scale`."""
        check_batch(image, mask)
        height, width = (max(1, round(side / self.input_scale)) for side in image.shape[-2:])
        wide = torch.promote_types(image.dtype, torch.float32)  # no antialiasing in 16 bits on the CPU
        both = torch.cat([image.to(wide), mask.to(wide)], dim=1)
        windows = [F.interpolate(self._window(one), (height, width), mode="bilinear", antialias=True) for one in both]
        cut = torch.cat(windows).clamp(0, 1)
        channels = image.shape[1]
        return cut[:, :channels].to(image.dtype), cut[:, channels:].to(mask.dtype)

    def _window(self, one: Tensor) -> Tensor:
        share = self.input_scale ** -float(torch.rand(()))
        sides = [max(1, round(side * share)) for side in one.shape[-2:]]
        top, left = (int(torch.randint(full - side + 1, ())) for full, side in zip(one.shape[-2:], sides, strict=True))
        return one[None, :, top : top + sides[0], left : left + sides[1]]
