"""Elastic deformation of image and mask by the same smooth field."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checking import number, whole
from ..contracts import Image, Mask
from .batch import check_batch


class RandomElastic(nn.Module):
    """Elastic deformation of image and mask by a smooth random displacement.

    Each node of a coarse grid moves by a random distance; pixels between nodes move by bicubic interpolation, so the
    deformation looks the same at every image size. Image and mask are sampled bilinearly at the same positions, with
    reflection padding. Unselected images stay exactly unchanged.

    Source: the elastic deformation of Simard et al. (ICDAR 2003). Differs: the field is smooth because its grid is
    coarse, not because white noise is blurred. At 1024 pixels this is a tenth of the work of the
    transforms of Kornia and albumentations, whose Gaussian kernels must be as wide as the deformation and are given in
    pixels.

    Args:
        p: Probability that an image is deformed.
        nodes: Number of nodes of the grid along each side.
        shift: Largest displacement of a node along each axis, as a fraction of that side; at most a third of the
            spacing of the nodes. Single pixels move up to a quarter further, because bicubic interpolation overshoots:
            1.9 % of the side by default.
    """

    def __init__(self, p: float = 0.5, *, nodes: int = 8, shift: float = 0.015) -> None:
        super().__init__()
        self.p = number("p", p, high=1)
        self.nodes = whole("nodes", nodes, least=2)
        # the image would fold over; bicubic slopes are 1.5 times as steep as the straight line between two nodes
        self.shift = number("shift", shift, high=0.33 / (nodes - 1))

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> both deformed, in float32, outside of autocast."""
        check_batch(image, mask)
        drawn = (torch.rand(len(image)) < self.p).nonzero()[:, 0]
        nodes = (torch.rand(len(drawn), 2, self.nodes, self.nodes) * 2 - 1) * self.shift
        both = torch.cat([image, mask], dim=1).float()  # (B, C+1, H, W)
        if len(drawn) > 0:
            drawn, nodes = drawn.to(both.device), nodes.to(both.device)
            with torch.autocast(both.device.type, enabled=False):
                both[drawn] = _sample(both[drawn], displacement(nodes, *both.shape[-2:]))
        channels = image.shape[1]
        return both[:, :channels], both[:, channels:]


def displacement(nodes: Tensor, height: int, width: int) -> Tensor:
    """Interpolate displacements (B, 2, N, N) of nodes to all pixels (B, 2, H, W); x and y are fractions of the side."""
    return F.interpolate(nodes, (height, width), mode="bicubic", align_corners=True)


def _sample(images: Tensor, shifts: Tensor) -> Tensor:
    """Sample images (B, C, H, W) in [0, 1] at each pixel's position plus its shift (B, 2, H, W)."""
    identity = torch.eye(2, 3, device=images.device).expand(len(images), -1, -1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False)  # (B, H, W, 2), sides from -1 to 1
    places = grid + 2 * shifts.permute(0, 2, 3, 1)
    sampled = F.grid_sample(images, places, padding_mode="reflection", align_corners=False)
    return sampled.clamp(0, 1)  # the weights of four pixels add up to 1 but for the last bit
