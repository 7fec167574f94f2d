"""Augmentation with cast shadows."""

import math

import torch
from torch import nn

from dichoseg.contracts import Image, Mask


class RandomShadow(nn.Module):
    """Augmentation that darkens one side of a random line, like a cast shadow.

    It teaches the network to tell a shadow's edge from an object's. The line passes
    the image's center within a quarter of the shorter side, in any direction. The mask
    does not change.

    Args:
        p: Probability that an image gets a shadow.
        darkest: Smallest fraction of the light that remains in the shadow, in [0, 1].
            The fraction is drawn between `darkest` and 1.
    """

    def __init__(self, p: float = 0.5, *, darkest: float = 0.3) -> None:
        super().__init__()
        self.p = p
        self.darkest = darkest

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1], mask (B, 1, H, W) -> darkened copy, mask."""
        count, _, height, width = image.shape
        # drawn on the CPU, so that a seed gives the same shadows on every device
        drawn, angle, distance, share = torch.rand(4, count, 1, 1, 1).to(image.device)
        down = torch.linspace(-height, height, height, device=image.device).view(
            -1, 1
        ) / min(height, width)
        right = torch.linspace(-width, width, width, device=image.device) / min(
            height, width
        )
        angle = 2 * math.pi * angle
        inside = (
            down * angle.sin() + right * angle.cos() > distance - 0.5
        )  # (B, 1, H, W)
        light = torch.where(
            inside & (drawn < self.p), self.darkest + (1 - self.darkest) * share, 1.0
        )
        return image * light, mask
