"""Blurred patches on the border between foreground and background, or anywhere."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ..blocks import window_mean
from ..checking import choice, number, whole, with_hints
from ..contracts import Image, Mask
from ..masks import border, largest_object
from .batch import check_batch

Blur = Literal["box", "gaussian", "motion"]
Place = Literal["border", "anywhere"]
Objects = Literal["all", "largest"]
Unit = Literal["fraction", "pixels"]


class Patch(NamedTuple):
    """One patch: its center pixel, its side and the radius of the blur in pixels, and the kind of blur.

    `angle` is the direction of a motion blur, in radians clockwise from the row. `feather` is the fraction of the
    distance from the patch's edges to its center over which the blur fades in.
    """

    row: int
    column: int
    side: int
    radius: int
    kind: Blur = "box"
    angle: float = 0.0
    feather: float = 0.0


class RandomBlurPatches(nn.Module):
    """Random blurred square patches on the mask's border, so that the network must find the edge without sharpness.

    Every selected image gets exactly `patches` patches, with independently drawn positions, sizes and blurs. An image
    without a border (an empty or a full mask) stays unchanged, unless `where="anywhere"`. The mask is never changed.
    Patches that extend beyond the image are clipped. Pixels outside of the image do not count in averages, and
    feathered edges blend the image with its blur, so nothing darkens.

    Random numbers come from `generator`, or from a new generator at each call, seeded by one draw from torch's global
    generator, so that results are reproducible with `torch.manual_seed`.

    Source: the "random blur" tuning of IS-Net (box blur, at least five patches, on the largest contour). Differs from
    its code: the count is exact, sizes are drawn independently, and all borders are used by default.

    Args:
        patches: Number of patches per image.
        size: Smallest and largest side of a patch.
        kernel: Smallest and largest side of the averaging box, or length of the motion; at least 3 pixels, rounded
            to an odd number. A Gaussian has the std of that box, about 0.29 of its side.
        unit: Whether `size` and `kernel` are a `"fraction"` of the image's shorter side or a number of `"pixels"`.
        where: Position of the patches' centers: on the `"border"`, or on any pixel, `"anywhere"`.
        objects: Objects whose border is used: `"all"` objects with their holes, or only the outer border of the
            `"largest"` object, the one whose outline encloses the largest area.
        kind: Kind of blur: `"box"`, `"gaussian"`, or `"motion"` along a line of random direction.
        feather: Fraction of the distance from a patch's edges to its center over which the blur fades in linearly: 0
            for hard edges, 1 for patches that are fully blurred only in their center.
        p: Probability that an image gets patches.
        generator: Random generator, on the CPU.
    """

    @with_hints({"patches=": "count n n_patches num num_patches number"})
    def __init__(
        self,
        patches: int = 5,
        *,
        size: tuple[float, float] = (0.06, 0.18),
        kernel: tuple[float, float] = (0.01, 0.03),
        unit: Unit = "fraction",
        where: Place = "border",
        objects: Objects = "all",
        kind: Blur = "box",
        feather: float = 0.0,
        p: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        choice("unit", unit, get_args(Unit))
        choice("where", where, get_args(Place))
        choice("objects", objects, get_args(Objects))
        choice("kind", kind, get_args(Blur))
        for name, limits in (("size", size), ("kernel", kernel)):
            low, high = limits
            if not 0 < low <= high <= (1 if unit == "fraction" else math.inf):
                wanted = "from 0 to 1, as fractions of the image" if unit == "fraction" else "above 0, in pixels"
                raise ValueError(f"{name} must be a range (low, high) {wanted}; got {limits}")
        if where == "anywhere" and objects == "largest":
            raise ValueError("objects='largest' chooses a border, which needs where='border'; got where='anywhere'")
        self.patches = whole("patches", patches)
        self.size = size
        self.kernel = kernel
        self.unit = unit
        self.where = where
        self.objects = objects
        self.kind: Blur = kind
        self.feather = number("feather", feather, high=1)
        self.p = number("p", p, high=1)
        self.generator = generator

    def extra_repr(self) -> str:
        """Return the arguments, for logs."""
        names = ("size", "kernel", "unit", "where", "objects", "kind", "feather", "p")
        return ", ".join([str(self.patches), *(f"{name}={getattr(self, name)!r}" for name in names)])

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> blurred copy of the image, the same mask."""
        check_batch(image, mask)
        generator = self.generator
        if generator is None:
            generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        blurred = image.clone()
        with torch.autocast(image.device.type, enabled=False):
            for target, source, places in zip(blurred, image, self.places(mask[:, 0] > 0.5), strict=True):
                for patch in self.draw(places, generator):
                    blur(target, source, patch)
        return blurred, mask

    def places(self, inside: Tensor) -> Tensor:
        """Mark the pixels on which patches may be centered: bool (B, H, W), true is foreground -> bool (B, H, W)."""
        if self.where == "anywhere":
            return torch.ones_like(inside)
        if self.objects == "largest":
            inside = torch.stack([largest_object(one) for one in inside])
        return border(inside)

    def draw(self, places: Tensor, generator: torch.Generator) -> list[Patch]:
        """Draw the patches of one image, centered on pixels that are true in `places` (H, W).

        `forward` calls it once per image, in order, with the result of `places`, so two generators in the same state
        give the same patches.
        """
        width, shorter = places.shape[1], min(places.shape)
        if self.p < 1 and float(torch.rand((), generator=generator)) >= self.p:
            return []
        pixels = places.flatten().nonzero()[:, 0]  # (N,)
        if len(pixels) == 0:
            return []
        chosen = torch.randint(len(pixels), (self.patches,), generator=generator)
        patches = []
        for pixel in pixels[chosen.to(pixels.device)].tolist():
            side = max(round(self._draw_length(self.size, shorter, generator)), 1)
            radius = max(round((self._draw_length(self.kernel, shorter, generator) - 1) / 2), 1)
            angle = math.pi * float(torch.rand((), generator=generator)) if self.kind == "motion" else 0.0
            patches.append(Patch(pixel // width, pixel % width, side, radius, self.kind, angle, self.feather))
        return patches

    def _draw_length(self, limits: tuple[float, float], shorter: int, generator: torch.Generator) -> float:
        low, high = limits
        value = low + (high - low) * float(torch.rand((), generator=generator))
        return value * shorter if self.unit == "fraction" else value


def blur(target: Tensor, source: Tensor, patch: Patch) -> None:
    """Blur one patch of `target` (C, H, W), averaging the unchanged `source` around it; both float or both uint8."""
    height, width = source.shape[-2:]
    first_row, first_column = patch.row - patch.side // 2, patch.column - patch.side // 2
    top, left = max(first_row, 0), max(first_column, 0)
    bottom, right = min(first_row + patch.side, height), min(first_column + patch.side, width)
    reach = _gaussian_reach(patch.radius) if patch.kind == "gaussian" else patch.radius
    outer_top, outer_left = max(top - reach, 0), max(left - reach, 0)
    region = source[:, outer_top : bottom + reach, outer_left : right + reach].float()
    inner = slice(top - outer_top, bottom - outer_top), slice(left - outer_left, right - outer_left)
    averaged = _average(region, patch)[:, *inner]
    place = target[:, top:bottom, left:right]
    if patch.feather > 0:
        ramp = _ramp(patch.side, patch.feather, source.device)
        weight = ramp[top - first_row : bottom - first_row, None] * ramp[left - first_column : right - first_column]
        averaged = torch.lerp(place.float(), averaged, weight)
    place.copy_(averaged if source.is_floating_point() else averaged.round())


def _average(region: Tensor, patch: Patch) -> Tensor:
    """Apply a patch's blur to (C, H, W); pixels outside of the region do not count."""
    if patch.kind == "gaussian":
        return _gaussian_blur(region, patch.radius)
    if patch.kind == "motion":
        return _motion_blur(region, patch.radius, patch.angle)
    return window_mean(region, 2 * patch.radius + 1, 2 * patch.radius + 1)


def _gaussian_blur(region: Tensor, radius: int) -> Tensor:
    """Average (C, H, W) with a truncated Gaussian of the box's std."""
    from kornia.filters import gaussian_blur2d

    window, std = 2 * _gaussian_reach(radius) + 1, math.sqrt(_variance(radius))
    counted = torch.cat([region, torch.ones_like(region[:1])])[None]
    blurred = gaussian_blur2d(counted, window, (std, std), border_type="constant")[0]
    return blurred[:-1] / blurred[-1:]


def _gaussian_reach(radius: int) -> int:
    """Return three stds of the Gaussian, in pixels."""
    return math.ceil(3 * math.sqrt(_variance(radius)))


def _variance(radius: int) -> float:
    """Return the variance of the positions of 2 * radius + 1 pixels in a line."""
    return radius * (radius + 1) / 3


def _motion_blur(region: Tensor, radius: int, angle: float) -> Tensor:
    """Average (C, H, W) over a straight line of pixels of length 2 * radius + 1.

    Columns are shifted until the lines are rows, averaged, and shifted back.
    """
    down, across = math.sin(angle), math.cos(angle)
    if abs(down) > abs(across):
        return _motion_blur(region.mT, radius, math.pi / 2 - angle).mT
    height, width = region.shape[-2:]
    shifts = (torch.arange(width) * (down / across)).round().long()
    span = int(shifts.max() - shifts.min())
    offsets = (shifts.max() - shifts).to(region.device)  # (W,), 0 to span
    rows = torch.arange(height + span, device=region.device)[:, None] - offsets
    valid = (rows >= 0) & (rows < height)  # (H + span, W)
    lines = region.gather(1, rows.clamp(0, height - 1).expand(len(region), -1, -1)) * valid
    means = window_mean(torch.cat([lines, valid[None].float()]), 1, 2 * max(round(radius * abs(across)), 1) + 1)
    back = torch.arange(height, device=region.device)[:, None] + offsets  # (H, W)
    values, counts = means.gather(1, back.expand(len(means), -1, -1)).split([len(region), 1])
    return values / counts


def _ramp(side: int, feather: float, device: torch.device) -> Tensor:
    """Return weights that rise from nearly 0 at both ends to 1 in the middle: (side,)."""
    places = torch.arange(side, device=device)
    distance = torch.minimum(places, side - 1 - places) + 0.5  # from the pixel's center to the nearer end
    return (distance / (feather * side / 2)).clamp(max=1)
