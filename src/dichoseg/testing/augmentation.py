"""Conformance check of augmentations."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..contracts import Augmentation, Image, Mask
from ..runtime.seeding import seeded
from .common import attempt, build, difference, require, require_unchanged, shapes

SLACK = 1e-3
"""Tolerance for values outside of [0, 1], since resampling rounds; the same as in `fit`."""
_WINDOW = 9
_SHIFTS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def check_augmentation(
    make: Callable[[], Augmentation],
    *,
    sizes: Sequence[tuple[int, int]] = ((64, 64), (65, 97)),
    channels: int = 3,
    draws: int = 8,
    likeness: float = 0.5,
    device: str | torch.device = "cpu",
) -> None:
    """Check that an augmentation keeps to the contract.

    - Image and mask are returned at the same size, the input's divided by `input_scale` (default 1), as float32 in
      [0, 1], on the device of the input. This is tried for square and other images, single and in batches, black and
      white, and for soft, empty and full masks.
    - Image and mask move together, to the pixel: a pattern that is in both stays aligned, whatever happens to the
      image's colors.
    - Empty masks stay empty, and the inputs are not changed.
    - `torch.manual_seed` makes the result reproducible.

    Args:
        make: Class or function without arguments that builds the augmentation, such as
            `lambda: MyAugmentation(p=0.8)`; `lambda: my_augmentation` for an augmentation that is a plain function.
        sizes: Heights and widths of the results to request.
        channels: Number of channels of the image.
        draws: Number of calls for each size and batch; an augmentation that rarely acts needs more.
        likeness: Lowest correlation between an image and a mask that were the same pattern. Lower it for an
            augmentation that hides much of the image.
        device: Device to compute on.
    """
    with seeded(0, device=torch.device(device)):
        change = "give each argument a default; to check a plain function: lambda: my_augmentation"
        augmentation = build("augmentation", make, change=change)
        name = getattr(augmentation, "__name__", type(augmentation).__name__)
        require(callable(augmentation), name, "a callable that takes (image, mask)", f"a {name}", "give it a forward")
        scale = getattr(augmentation, "input_scale", 1.0)
        require(
            isinstance(scale, int | float) and scale >= 1,
            name,
            "an input_scale of 1 or more: side of its input over side of its output",
            repr(scale),
            "1.25 for a crop of 1280 pixels to 1024; leave it out if nothing is cropped",
        )
        together = torch.zeros(len(_SHIFTS), dtype=torch.float64)
        for size in sizes:
            for batch in (1, 3):
                for image, mask in _inputs(size, scale, batch=batch, channels=channels):
                    _checked(name, augmentation, image.to(device), mask.to(device), size)
                for _ in range(draws):
                    mask = _pattern(batch, round(size[0] * scale), round(size[1] * scale)).to(device)
                    image = (0.25 + 0.5 * mask).repeat(1, channels, 1, 1)
                    augmented = _checked(name, augmentation, image, mask, size)
                    together += _likenesses(name, *augmented, likeness)
        _check_places(name, together)
        _check_seed(name, make, _pattern(3, round(size[0] * scale), round(size[1] * scale)).to(device), channels)


def _inputs(size: tuple[int, int], scale: float, *, batch: int, channels: int) -> list[tuple[Image, Mask]]:
    """Make random images with soft, full and empty masks, and black and white images."""
    sides = (round(size[0] * scale), round(size[1] * scale))
    image = torch.rand(batch, channels, *sides)
    mask = torch.rand(batch, 1, *sides)
    ones, zeros = torch.ones_like, torch.zeros_like
    return [(image, mask), (image, ones(mask)), (image, zeros(mask)), (ones(image), mask), (zeros(image), mask)]


def _pattern(batch: int, height: int, width: int) -> Mask:
    """Draw random hard-edged blobs of about eight pixels: (B, 1, H, W) of zeros and ones."""
    nodes = torch.randn(batch, 1, height // 8 + 2, width // 8 + 2)
    return (F.interpolate(nodes, (height, width), mode="bicubic", align_corners=False) > 0).float()


def _checked(
    name: str, augmentation: Augmentation, image: Image, mask: Mask, size: tuple[int, int]
) -> tuple[Image, Mask]:
    """Apply the augmentation, check the result, and return it."""
    where = f"{name}, batch of {len(image)} at {image.shape[-2]}x{image.shape[-1]}"
    before = image.clone(), mask.clone()
    with attempt(where, "the augmentation", "it takes an image (B, C, H, W) and its mask (B, 1, H, W) of any size"):
        augmented = augmentation(image, mask)
    require(
        isinstance(augmented, tuple) and len(augmented) == 2 and all(isinstance(part, Tensor) for part in augmented),
        where,
        "a pair (image, mask)",
        f"a {type(augmented).__name__}",
        "return both, the mask also if it has not changed",
    )
    wanted = [(*image.shape[:2], *size), (*mask.shape[:2], *size)]
    require(
        shapes(augmented) == wanted,
        where,
        f"shapes {wanted[0]} and {wanted[1]}",
        f"{shapes(augmented)[0]} and {shapes(augmented)[1]}",
        "transform both alike; an augmentation that crops declares how much larger its input is, "
        "self.input_scale = 1.25, and fit loads images of that size",
    )
    for what, part, given in zip(("image", "mask"), augmented, before, strict=True):
        require(
            part.dtype == given.dtype and part.device == given.device,
            where,
            f"the {what} in {given.dtype} on {given.device}",
            f"{part.dtype} on {part.device}",
            "compute on the device of the input, and return its dtype",
        )
        low, high = float(part.min()), float(part.max())
        require(
            low >= -SLACK and high <= 1 + SLACK,
            where,
            f"the {what} in [0, 1]",
            f"{low:.4g} to {high:.4g}",
            "clamp(0, 1); normalization comes later",
        )
    require_unchanged(where, before, (image, mask))
    require(
        bool(mask.any()) or not bool(augmented[1].any()),
        where,
        "masks that stay empty if all are empty",
        f"values up to {float(augmented[1].max()):.4g}",
        "fill pixels from outside of the mask with 0",
    )
    return augmented


def _likenesses(name: str, image: Image, mask: Mask, likeness: float) -> Tensor:
    """Return the correlation of image and mask at each shift by a pixel, summed over images that are not constant."""
    gray = image.mean(dim=1, keepdim=True)[..., 1:-1, 1:-1].double().cpu()
    mask = mask.double().cpu()
    height, width = gray.shape[-2:]
    found = torch.stack(
        [
            _correlation(gray, mask[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width]).abs()
            for down, right in _SHIFTS
        ]
    )  # (shifts, B)
    found = found[:, found.isfinite().all(dim=0)]
    least = float(found[_SHIFTS.index((0, 0))].min()) if found.numel() else 1.0
    require(
        least >= likeness,
        name,
        f"image and mask to move together: a correlation of {likeness:g} or more if both were the same pattern",
        f"{least:.2g}",
        "draw once and apply it to both; check an augmentation that hides much of the image with a lower likeness=",
    )
    return found.sum(dim=1)


def _correlation(image: Tensor, mask: Tensor) -> Tensor:
    """Average over the image the correlation in a window, which shading, borders and gaps hardly affect: (B,).

    Only windows in which neither is constant count; NaN if there are none.
    """

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, _WINDOW, stride=1)

    covariance = mean(image * mask) - mean(image) * mean(mask)
    spread = mean(image**2) - mean(image) ** 2
    mask_spread = mean(mask**2) - mean(mask) ** 2
    shown = (spread > 1e-4) & (mask_spread > 1e-2)
    local = torch.where(shown, covariance / (spread * mask_spread).clamp(min=1e-12).sqrt(), 0.0)
    return local.sum(dim=(1, 2, 3)) / shown.sum(dim=(1, 2, 3))


def _check_places(name: str, together: Tensor) -> None:
    """Check that image and mask correlate best without a shift, over all draws."""
    require(
        bool(together.any()),
        name,
        "an image that is not constant",
        "a constant one in all draws",
        "leave enough of the image to learn from",
    )
    down, right = _SHIFTS[int(together.argmax())]
    require(
        bool(together[_SHIFTS.index((0, 0))] >= together.max() * (1 - 1e-3)),
        name,
        "image and mask to move together, to the pixel",
        f"a mask that lies {down} pixels further down and {right} further right",
        "resample both with the same grid and the same align_corners",
    )


def _check_seed(name: str, make: Callable[[], Augmentation], mask: Mask, channels: int) -> None:
    """Check that the result depends on the state of torch's generator only, not on NumPy's or Python's."""
    image = torch.rand(len(mask), channels, *mask.shape[-2:]).to(mask.device)
    for seed in range(4):
        results = []
        for other in (1, 2):
            torch.manual_seed(seed)
            random.seed(other)
            np.random.seed(other)
            results.append(make()(image, mask))
        apart = difference(*results)
        require(
            apart == 0,
            name,
            "the same result after the same torch.manual_seed",
            f"a difference of {apart:.2g}",
            "draw from torch (torch.rand, torch.randint), not from numpy or random; seed a generator of its own by a "
            "draw from torch",
        )
