"""albumentations transforms: a seeded pipeline, and augmentations that albumentations lacks."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise its import checks for updates over the network

import albumentations as A
import cv2
from albumentations.augmentations.crops.transforms import BaseCrop

from ..checking import number, whole
from ..masks import border
from .blur_patches import Blur, Objects, Patch, Place, RandomBlurPatches, Unit, blur
from .crop import windows


class SeededTransform:
    """albumentations pipeline that is seeded by `torch.manual_seed`, for the `transform=` of a data set.

    `albumentations.Compose` ignores the global random state. Its results under `fit` would depend on the number
    of workers, and runs would not be reproducible. This pipeline draws a seed from torch's global generator at each
    call. Its transforms share one generator: `Compose.set_random_seed` would give each its own generator with the same
    seed, and transforms with the same probability would always act together.

    Args:
        *transforms: albumentations transforms, such as `albumentations.HorizontalFlip(p=0.5)`.
    """

    def __init__(self, *transforms: A.BasicTransform | A.BaseCompose) -> None:
        self.pipeline = A.Compose(list(transforms))

    def __call__(self, *, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        """Transform an image (H, W, 3) and its mask (H, W); return a dict of both."""
        seed = int(torch.randint(2**62, ()))
        self.pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
        return self.pipeline(image=image, mask=mask)


def resizing_of(transform: object) -> SeededTransform | None:
    """Return the resizing of an albumentations pipeline, without its augmentations; None if it does not resize.

    Resizing, padding and center crops that are always applied are kept; a random crop of fixed size becomes a resize to
    that size.
    """
    pipeline = transform.pipeline if isinstance(transform, SeededTransform) else transform
    parts = pipeline.transforms if isinstance(pipeline, A.Compose) else [pipeline]
    kept: list[A.BasicTransform] = []
    for part in parts:
        if getattr(part, "p", 0) != 1:
            continue
        if isinstance(part, A.Resize | A.LongestMaxSize | A.SmallestMaxSize | A.PadIfNeeded | A.CenterCrop):
            kept.append(part)
        elif isinstance(part, BaseCrop | A.RandomResizedCrop):
            height, width = getattr(part, "size", None) or (getattr(part, "height", None), getattr(part, "width", None))
            if height and width:
                kept = [A.Resize(height, width, mask_interpolation=cv2.INTER_LINEAR, interpolation=cv2.INTER_AREA)]
    return SeededTransform(*kept) if kept else None


class BlurPatchesTransform(A.ImageOnlyTransform):  # type: ignore[misc]
    """`RandomBlurPatches` as an albumentations transform, for any `albumentations.Compose`.

    Takes the arguments of `RandomBlurPatches` without `generator`. Needs a `mask` in addition to the image and never
    changes it. A mask whose largest value is at most 1 is read as [0, 1], any other as [0, 255]. The image keeps its
    dtype, uint8 or float32.
    """

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
    ) -> None:
        super().__init__(p=p)
        self.patches = patches
        self.size = size
        self.kernel = kernel
        self.unit = unit
        self.where = where
        self.objects = objects
        self.kind = kind
        self.feather = feather
        self.blur_patches = RandomBlurPatches(
            patches, size=size, kernel=kernel, unit=unit, where=where, objects=objects, kind=kind, feather=feather
        )

    @property
    def targets_as_params(self) -> list[str]:
        """Targets that albumentations needs in addition to the image."""
        return ["mask"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the patches."""
        generator = torch.Generator().manual_seed(self.py_random.getrandbits(62))
        places = self.blur_patches.places(_inside(data["mask"])[None])[0]
        return {"drawn": self.blur_patches.draw(places, generator)}

    def apply(self, img: NDArray[Any], drawn: list[Patch], **params: Any) -> NDArray[Any]:
        """Blur the patches in an image (H, W) or (H, W, C)."""
        source = torch.from_numpy(img.copy()).view(*img.shape[:2], -1).permute(2, 0, 1)  # (C, H, W)
        blurred = source.clone()
        for patch in drawn:
            blur(blurred, source, patch)
        return blurred.permute(1, 2, 0).numpy().reshape(img.shape)


class BorderCropTransform(BaseCrop):  # type: ignore[misc]
    """`RandomBorderCrop` as an albumentations transform, for any `albumentations.Compose`.

    Needs a `mask` in addition to the image. A mask whose largest value is at most 1 is read as [0, 1], any other as
    [0, 255]. `albumentations.CropNonEmptyMaskIfExists` requires only one pixel of the foreground, which is more
    often inside a large object than at its border.

    Args:
        height: Height of the window, in pixels.
        width: Width of the window, in pixels.
        share: Number of border pixels that a window must contain, as a fraction of the largest number that any window
            contains.
        p: Probability that an image is cropped.
    """

    def __init__(self, height: int, width: int, *, share: float = 0.5, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.height = whole("height", height, least=1)
        self.width = whole("width", width, least=1)
        self.share = number("share", share, high=1)

    @property
    def targets_as_params(self) -> list[str]:
        """Targets that albumentations needs in addition to the image."""
        return ["mask"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the window."""
        inside = _inside(data["mask"])
        if self.height > inside.shape[0] or self.width > inside.shape[1]:
            raise ValueError(
                f"a window of {self.height} by {self.width} needs an image at least as large; "
                f"got {inside.shape[0]} by {inside.shape[1]} (height by width)"
            )
        allowed = windows(border(inside[None])[0], self.height, self.width, self.share)
        top, left = allowed.nonzero()[self.py_random.randrange(int(allowed.sum()))].tolist()
        return {"crop_coords": (left, top, left + self.width, top + self.height)}


def _inside(mask: NDArray[Any]) -> Tensor:
    """Return the foreground, bool (H, W), of a mask (H, W) or (H, W, 1) in [0, 1] or [0, 255]."""
    half = 0.5 if mask.max() <= 1 else 127.5
    return torch.from_numpy(mask.reshape(*mask.shape[:2], -1)[..., 0] > half)
