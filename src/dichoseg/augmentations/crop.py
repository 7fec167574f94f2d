"""Random crops: uniform, or containing enough of the border between foreground and background."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checking import number
from ..contracts import Image, Mask
from ..masks import border
from .batch import check_batch


class RandomCrop(nn.Module):
    """Random crop of each image and mask to `1 / input_scale` of their size.

    Args:
        input_scale: Ratio of the input's size to the output's, 1 or more: 1.25 for 1280 -> 1024.
    """

    def __init__(self, input_scale: float = 1.25) -> None:
        super().__init__()
        self.input_scale = number("input_scale", input_scale, low=1)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) and mask (B, 1, H, W) -> both cropped alike, sides divided by `input_scale`."""
        check_batch(image, mask)
        height, width = image.shape[-2:]
        new_height, new_width = round(height / self.input_scale), round(width / self.input_scale)
        tops = torch.randint(height - new_height + 1, (len(image),)).tolist()
        lefts = torch.randint(width - new_width + 1, (len(image),)).tolist()
        return cut(image, tops, lefts, new_height, new_width), cut(mask, tops, lefts, new_height, new_width)


class RandomBorderCrop(nn.Module):
    """Random crop of each image and mask that contains enough of the mask's border.

    For thin or small objects, which a uniform crop often misses. The window is drawn uniformly from all windows that
    contain at least `share` times as many border pixels as the best window. If the object fits into a window, these
    are the windows that show `share` of its border. A mask without a border (empty or full) is cropped uniformly, as
    in `RandomCrop`. `fit` loads images `input_scale` times as large as the model's size.

    Args:
        input_scale: Ratio of the input's size to the output's, 1 or more: 1.25 for 1280 -> 1024.
        share: Number of border pixels that a window must contain, as a fraction of the largest number that any window
            contains: 0 crops uniformly, 1 selects one of the best windows.
    """

    def __init__(self, input_scale: float = 1.25, *, share: float = 0.5) -> None:
        super().__init__()
        self.input_scale = number("input_scale", input_scale, low=1)
        self.share = number("share", share, high=1)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> both cropped alike, sides divided by `input_scale`."""
        check_batch(image, mask)
        height, width = (round(side / self.input_scale) for side in image.shape[-2:])
        tops, lefts = [], []
        for edge in border(mask[:, 0] > 0.5):
            allowed = windows(edge, height, width, self.share)
            chosen = int(torch.randint(int(allowed.sum()), ()))
            top, left = allowed.nonzero()[chosen].tolist()
            tops.append(top)
            lefts.append(left)
        return cut(image, tops, lefts, height, width), cut(mask, tops, lefts, height, width)


def windows(edge: Tensor, height: int, width: int, share: float) -> Tensor:
    """Mark the allowed upper left corners of a window: border pixels (H, W) -> bool (H-height+1, W-width+1)."""
    sums = F.pad(edge.cumsum(1, dtype=torch.int32), (1, 0))  # (H, W+1), of the pixels to the left
    sums = F.pad((sums[:, width:] - sums[:, :-width]).cumsum(0, dtype=torch.int32), (0, 0, 1, 0))
    counts = sums[height:] - sums[:-height]
    return counts >= share * counts.max()


def cut(batch: Tensor, tops: Sequence[int], lefts: Sequence[int], height: int, width: int) -> Tensor:
    """Cut one window out of each image: (B, C, H, W) and upper left corners -> (B, C, height, width)."""
    windows = zip(batch, tops, lefts, strict=True)
    return torch.stack([one[:, top : top + height, left : left + width] for one, top, left in windows])
