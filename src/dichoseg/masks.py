"""Edges and objects in masks."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .contracts import Mask


def edge_band(mask: Mask, width: int = 3) -> Mask:
    """Mark the pixels around the border between foreground and background: dilation minus erosion.

    The mask is thresholded at 0.5 first. The window is `width` by `width` pixels, so 3 marks the pixel on either side
    of the border, 5 marks two on either side. The outside of the image counts as neither.

    Args:
        mask: Mask (B, 1, H, W) in [0, 1].
        width: Side of the window of dilation and erosion, in pixels; odd, at least 3.

    Returns:
        (B, 1, H, W) of zeros and ones, in the mask's dtype.
    """
    hard = (mask > 0.5).to(mask.dtype)
    dilated = F.max_pool2d(hard, width, stride=1, padding=width // 2)
    eroded = -F.max_pool2d(-hard, width, stride=1, padding=width // 2)
    return dilated - eroded


def mask_edges(mask: Mask, *, threshold: float = 128 / 255) -> Mask:
    """Mark the pixels with a nonzero gradient of the mask: both sides of each border, about 2 pixels wide.

    This is the edge label of EGNet (arXiv:1908.08297). The mask is thresholded first; the gradient is the central
    difference, one-sided at the image's border.

    Args:
        mask: Mask (B, 1, H, W) in [0, 1].
        threshold: Threshold above which values are foreground.

    Returns:
        (B, 1, H, W) of zeros and ones, in the mask's dtype.
    """
    hard = (mask > threshold).float()
    padded = F.pad(hard, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] != padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] != padded[..., :-2, 1:-1]
    return (across | down).to(mask.dtype)


def border(inside: Tensor) -> Tensor:
    """Mark pixels with a neighbor on the other side of the border: bool (B, H, W) -> bool (B, H, W)."""
    rows, columns = inside.diff(dim=1), inside.diff(dim=2)
    edge = torch.zeros_like(inside)
    edge[:, 1:] |= rows
    edge[:, :-1] |= rows
    edge[:, :, 1:] |= columns
    edge[:, :, :-1] |= columns
    return edge


def largest_object(inside: Tensor) -> Tensor:
    """Return the object with the largest enclosed area, holes filled: bool (H, W) -> bool (H, W). Runs on the CPU."""
    import cv2

    pixels = inside.cpu().numpy().astype(np.uint8)
    contours, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(pixels)
    if contours:
        cv2.drawContours(filled, [max(contours, key=cv2.contourArea)], -1, 1, thickness=cv2.FILLED)
    return torch.from_numpy(filled > 0).to(inside.device)


def all_count(ignored: Tensor) -> Tensor:
    """Return the weight of pixels whose ignored fraction is in [0, 1]: 1 if all that each was made of counts."""
    return (ignored < 0.01).byte()  # above what rounding gives
