"""Elastic deformation: image and mask bent alike by one smooth field."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checking import number
from ..contracts import Image, Mask
from .batch import check_batch


class RandomElastic(nn.Module):
    """Bend image and mask by a smooth random displacement, as if they were printed on rubber.

    Each node of a coarse grid moves by its own random distance, and every pixel between them by a bicubic mean, so
    the bend looks the same at every image size. Image and mask are sampled bilinearly at the same places; what lies
    beyond the image is its reflection. An image that is not drawn stays exactly as it is.

    Source: the elastic deformation of Simard et al. (ICDAR 2003). Differs: the field is smooth because its grid is
    coarse, not because white noise was blurred. At 1024 pixels that is a tenth of the work of Kornia's and of
    albumentations' own transforms, whose Gaussian kernels must be as wide as the bend and are given in pixels.

    Args:
        p: Probability, per image.
        nodes: Nodes of the grid along each side.
        shift: Largest displacement of a node along each axis, as a fraction of that side. The pixel that moves
            furthest goes a quarter further, because a bicubic mean overshoots: 1.9 % of the side by default.

    Raises:
        ValueError: A probability outside of 0 to 1, fewer than two nodes, or a shift so large that the image would
            fold over.
    """

    def __init__(self, p: float = 0.5, *, nodes: int = 8, shift: float = 0.015) -> None:
        super().__init__()
        if nodes < 2:
            raise ValueError(f"nodes must be 2 or more; got {nodes}")
        limit = 0.33 / (nodes - 1)  # bicubic slopes are half as steep again as those between two nodes
        if not 0 <= shift <= limit:
            raise ValueError(
                f"shift must lie in 0 to {limit:.3g}, a third of the distance of {nodes} nodes; got {shift}"
            )
        self.p = number("p", p, high=1)
        self.nodes = nodes
        self.shift = shift

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> both bent alike, in float32, outside of autocast."""
        check_batch(image, mask)
        drawn = (torch.rand(len(image)) < self.p).nonzero()[:, 0]
        nodes = (torch.rand(len(drawn), 2, self.nodes, self.nodes) * 2 - 1) * self.shift
        both = torch.cat([image, mask], dim=1).float()  # (B, C+1, H, W)
        if len(drawn) > 0:
            drawn, nodes = drawn.to(both.device), nodes.to(both.device)
            with torch.autocast(both.device.type, enabled=False):
                both[drawn] = _sample(both[drawn], displacement(nodes, *both.shape[-2:]))
        return both[:, :-1], both[:, -1:]


def displacement(nodes: Tensor, height: int, width: int) -> Tensor:
    """Where to look from each pixel: (B, 2, N, N) at the nodes -> (B, 2, H, W), x and y as fractions of the side."""
    return F.interpolate(nodes, (height, width), mode="bicubic", align_corners=True)


def _sample(images: Tensor, shifts: Tensor) -> Tensor:
    """Sample images (B, C, H, W) in [0, 1] at each pixel's place plus its shift (B, 2, H, W)."""
    identity = torch.eye(2, 3, device=images.device).expand(len(images), -1, -1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False)  # (B, H, W, 2), sides from -1 to 1
    places = grid + 2 * shifts.permute(0, 2, 3, 1)
    sampled = F.grid_sample(images, places, padding_mode="reflection", align_corners=False)
    return sampled.clamp(0, 1)  # the weights of four pixels add up to 1 but for the last bit
