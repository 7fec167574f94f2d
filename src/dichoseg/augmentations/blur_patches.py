"""Blurred patches on the border between foreground and background."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..contracts import Image, Mask


class Patch(NamedTuple):
    """One patch: the pixel in its middle, its side, and the reach of the average, in pixels."""

    row: int
    column: int
    side: int
    radius: int


class RandomBlurPatches(nn.Module):
    """Blur square patches centred on the mask's border, so that the network must find the edge without sharpness.

    Every image gets exactly `patches` of them, their places, sizes and blurs drawn independently; an image
    without a border (an empty or a full mask) stays as it is. The mask is never touched. Patches that reach
    beyond the image are cut there.

    Randomness comes from a generator of its own: `generator`, or a fresh one at each call, seeded by one draw
    from torch's global generator, so that `torch.manual_seed` repeats it.

    Source: the "random blur" tuning of IS-Net (box blur, at least five patches). Differs from its code in the
    exact count, in sizes that are drawn independently, and in using every border, not the largest contour's.

    Args:
        patches: Patches per image.
        size: Smallest and largest side of a patch.
        kernel: Smallest and largest side of the box that averages; at least 3 pixels, rounded to an odd number.
        unit: Whether `size` and `kernel` are a `"fraction"` of the image's shorter side or a number of `"pixels"`.
        generator: Where to draw from; its device is the CPU.

    Raises:
        ValueError: A negative count, or a range that is not one.
    """

    def __init__(
        self,
        patches: int = 5,
        *,
        size: tuple[float, float] = (0.06, 0.18),
        kernel: tuple[float, float] = (0.01, 0.03),
        unit: Literal["fraction", "pixels"] = "fraction",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if patches < 0:
            raise ValueError(f"patches must be 0 or more; got {patches}")
        if unit not in ("fraction", "pixels"):
            raise ValueError(f"unit must be 'fraction' or 'pixels'; got {unit!r}")
        for name, (low, high) in (("size", size), ("kernel", kernel)):
            if not 0 < low <= high or (unit == "fraction" and high > 1):
                raise ValueError(
                    f"{name} must be a range (low, high) above 0, in {unit} of the image; got {(low, high)}"
                )
        self.patches = patches
        self.size = size
        self.kernel = kernel
        self.unit = unit
        self.generator = generator

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and its mask (B, 1, H, W) -> blurred copy, the same mask."""
        generator = self.generator
        if generator is None:
            generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        blurred = image.clone()
        for target, source, edge in zip(blurred, image, border(mask[:, 0] > 0.5), strict=True):
            for patch in self.draw(edge, generator):
                blur(target, source, patch)
        return blurred, mask

    def draw(self, edge: Tensor, generator: torch.Generator) -> list[Patch]:
        """Draw the patches of one image, centred on the pixels of its mask's border (H, W)."""
        width, shorter = edge.shape[1], min(edge.shape)
        pixels = edge.flatten().nonzero()[:, 0]  # (N,)
        if len(pixels) == 0:
            return []
        chosen = torch.randint(len(pixels), (self.patches,), generator=generator)
        patches = []
        for pixel in pixels[chosen.to(pixels.device)].tolist():
            side = max(round(self._draw_length(self.size, shorter, generator)), 1)
            radius = max(round((self._draw_length(self.kernel, shorter, generator) - 1) / 2), 1)
            patches.append(Patch(pixel // width, pixel % width, side, radius))
        return patches

    def _draw_length(self, limits: tuple[float, float], shorter: int, generator: torch.Generator) -> float:
        low, high = limits
        value = low + (high - low) * float(torch.rand((), generator=generator))
        return value * shorter if self.unit == "fraction" else value


def blur(target: Tensor, source: Tensor, patch: Patch) -> None:
    """Blur one patch of `target` (C, H, W), averaging the untouched `source` around it; both float or both uint8."""
    height, width = source.shape[-2:]
    row, column, side, radius = patch
    top, left = max(row - side // 2, 0), max(column - side // 2, 0)
    bottom, right = min(row - side // 2 + side, height), min(column - side // 2 + side, width)
    outer_top, outer_left = max(top - radius, 0), max(left - radius, 0)
    region = source[:, outer_top : bottom + radius, outer_left : right + radius].float()
    averaged = _box_blur(region, radius).clamp(region.min(), region.max())  # running sums round
    if not source.is_floating_point():
        averaged = averaged.round()
    inner = (slice(top - outer_top, bottom - outer_top), slice(left - outer_left, right - outer_left))
    target[:, top:bottom, left:right] = averaged[:, *inner]


def border(inside: Tensor) -> Tensor:
    """Pixels with a neighbour on the other side of the border: bool (B, H, W) -> bool (B, H, W)."""
    rows = inside[:, 1:] != inside[:, :-1]
    columns = inside[:, :, 1:] != inside[:, :, :-1]
    edge = torch.zeros_like(inside)
    edge[:, 1:] |= rows
    edge[:, :-1] |= rows
    edge[:, :, 1:] |= columns
    edge[:, :, :-1] |= columns
    return edge


def _box_blur(region: Tensor, radius: int) -> Tensor:
    """Average (C, H, W) over a box, columns then rows; pixels outside of the region do not count."""
    return _running_mean(_running_mean(region, radius, dim=1), radius, dim=2)


def _running_mean(region: Tensor, radius: int, *, dim: int) -> Tensor:
    """Average along one dimension, from differences of a running sum: the cost knows no radius."""
    length = region.shape[dim]
    places = torch.arange(length, device=region.device)
    first, last = (places - radius).clamp(min=0), (places + radius + 1).clamp(max=length)
    sums = torch.cat([torch.zeros_like(region.narrow(dim, 0, 1)), region.cumsum(dim)], dim=dim)
    counts = (last - first).view(-1, *(1 for _ in range(2 - dim)))
    return (sums.index_select(dim, last) - sums.index_select(dim, first)) / counts
