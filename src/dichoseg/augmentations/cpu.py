"""Augmentation in the workers, through albumentations: for the `transform=` of a data set."""

from __future__ import annotations

import os
import random
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for newer versions

import albumentations as A
import cv2

from .blur_patches import Patch, RandomBlurPatches, blur, border
from .elastic import displacement
from .presets import BRIGHTNESS, CLIP_LIMIT, CONTRAST, ELASTIC_NODES, ELASTIC_SHIFT, GAMMA, TILES, choose


class SeededTransform:
    """An albumentations pipeline that follows `torch.manual_seed`: for the `transform=` of a data set.

    albumentations' own `Compose` ignores global random state, so that under `fit` its results would depend on the
    number of workers and no run could be repeated. This one draws a seed from torch's global generator at each
    call. Its transforms share one generator: `Compose.set_random_seed` would give each its own with the same seed,
    and transforms of one probability would then always act together.

    Args:
        *transforms: albumentations transforms, such as `albumentations.HorizontalFlip(p=0.5)`.
    """

    def __init__(self, *transforms: A.BasicTransform | A.BaseCompose) -> None:
        self.pipeline = A.Compose(list(transforms))

    def __call__(self, *, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        """Image (H, W, 3) and mask (H, W) -> a dict of both."""
        seed = int(torch.randint(2**62, ()))
        self.pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
        return self.pipeline(image=image, mask=mask)


class BlurPatchesTransform(A.ImageOnlyTransform):  # type: ignore[misc]
    """`RandomBlurPatches` as an albumentations transform, for any `albumentations.Compose`.

    Needs a `mask` beside the image and never touches it. A mask whose largest value is 1 counts as one in [0, 1],
    any other as one in [0, 255]. The image keeps its type, uint8 or float32.

    Args:
        patches: Patches per image.
        size: Smallest and largest side of a patch.
        kernel: Smallest and largest side of the box that averages.
        unit: Whether `size` and `kernel` are a `"fraction"` of the image's shorter side or a number of `"pixels"`.
        p: Probability that an image gets its patches.

    Raises:
        ValueError: As `RandomBlurPatches`.
    """

    def __init__(
        self,
        patches: int = 5,
        *,
        size: tuple[float, float] = (0.06, 0.18),
        kernel: tuple[float, float] = (0.01, 0.03),
        unit: Literal["fraction", "pixels"] = "fraction",
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.patches = patches
        self.size = size
        self.kernel = kernel
        self.unit = unit
        self.blur_patches = RandomBlurPatches(patches, size=size, kernel=kernel, unit=unit)

    @property
    def targets_as_params(self) -> list[str]:
        """What albumentations must be given beside the image."""
        return ["mask"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the patches on the mask's border."""
        mask = data["mask"]
        half = 0.5 if mask.max() <= 1 else 127.5
        inside = torch.from_numpy(mask.reshape(*mask.shape[:2], -1)[..., 0] > half)  # (H, W)
        generator = torch.Generator().manual_seed(self.py_random.getrandbits(62))
        return {"drawn": self.blur_patches.draw(border(inside[None])[0], generator)}

    def apply(self, img: NDArray[Any], drawn: list[Patch], **params: Any) -> NDArray[Any]:
        """Blur the patches in an image (H, W) or (H, W, C)."""
        source = torch.from_numpy(img.copy()).view(*img.shape[:2], -1).permute(2, 0, 1)  # (C, H, W)
        blurred = source.clone()
        for patch in drawn:
            blur(blurred, source, patch)
        return blurred.permute(1, 2, 0).numpy().reshape(img.shape)


class _Resize(A.Resize):  # type: ignore[misc]
    """albumentations' transform, by area along the sides that shrink and then bilinearly along those that grow.

    Its own choice of one method for both sides leaves steps where one shrinks and the other grows.
    """

    def apply(self, img: NDArray[np.uint8], **params: Any) -> NDArray[np.uint8]:
        """Resize an image (H, W, 3)."""
        height, width = img.shape[:2]
        smaller = cv2.resize(img, (min(width, self.width), min(height, self.height)), interpolation=cv2.INTER_AREA)
        return cv2.resize(smaller, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    def apply_to_mask(self, mask: NDArray[np.uint8], **params: Any) -> NDArray[np.uint8]:
        """Resize a mask (H, W) in the same way, so that soft edges stay soft."""
        return self.apply(mask)


class _Elastic(A.ElasticTransform):  # type: ignore[misc]
    """albumentations' transform with the displacement of `RandomElastic`, which see for the reasons."""

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw where each pixel comes from, in pixels."""
        height, width = params["shape"][:2]
        nodes = self.random_generator.uniform(-ELASTIC_SHIFT, ELASTIC_SHIFT, (1, 2, ELASTIC_NODES, ELASTIC_NODES))
        across, down = displacement(torch.from_numpy(nodes).float(), height, width)[0].numpy()
        return {
            "map_x": np.arange(width, dtype=np.float32) + width * across,
            "map_y": np.arange(height, dtype=np.float32)[:, None] + height * down,
        }


def cpu_augmentation(
    preset: str = "dis-tuning",
    *,
    size: int = 1024,
    horizontal_flip: float | None = None,
    vertical_flip: float | None = None,
    rotate90: float | None = None,
    input_scale: float | None = None,
    elastic: float | None = None,
    clahe: float | None = None,
    brightness_contrast: float | None = None,
    gamma: float | None = None,
    blur_patches: int | None = None,
) -> SeededTransform:
    """What `gpu_augmentation` does, in the workers: give it to `FolderDataset(transform=...)`.

    Resizes each pair to a square of `input_scale * size` pixels (by area where it shrinks, else bilinearly, masks
    too, so that soft edges stay soft), crops `size` at random and takes the other steps, through albumentations and
    with the same settings. `fit` seeds it, as `SeededTransform` tells. It can be pickled.

    Args:
        preset: As for `gpu_augmentation`, and so are the others where they are not None.
        size: Side of the square result, in pixels; the model's size spares a second resizing.
        horizontal_flip: Probability of a horizontal flip.
        vertical_flip: Probability of a vertical flip.
        rotate90: Probability of a random number of quarter turns.
        input_scale: Random crop from images this much larger than the result; 1 crops nothing.
        elastic: Probability of an elastic deformation.
        clahe: Probability of adaptive histogram equalisation.
        brightness_contrast: Probability of another brightness and contrast.
        gamma: Probability of another gamma.
        blur_patches: Blurred patches on each image's border.

    Raises:
        ValueError: No such preset, or a value out of its range.
    """
    if size < 1:
        raise ValueError(f"size must be a positive number of pixels; got {size}")
    settings = choose(
        preset,
        {
            "horizontal_flip": horizontal_flip,
            "vertical_flip": vertical_flip,
            "rotate90": rotate90,
            "input_scale": input_scale,
            "elastic": elastic,
            "clahe": clahe,
            "brightness_contrast": brightness_contrast,
            "gamma": gamma,
            "blur_patches": blur_patches,
        },
    )
    side = round(settings.input_scale * size)
    steps: list[tuple[float, A.BasicTransform]] = [
        (1, _Resize(side, side)),
        (side - size, A.RandomCrop(size, size)),
        (settings.rotate90, A.RandomRotate90(settings.rotate90)),
        (
            settings.elastic,
            _Elastic(mask_interpolation=cv2.INTER_LINEAR, border_mode=cv2.BORDER_REFLECT, p=settings.elastic),
        ),
        (settings.horizontal_flip, A.HorizontalFlip(settings.horizontal_flip)),
        (settings.vertical_flip, A.VerticalFlip(settings.vertical_flip)),
        (settings.clahe, A.CLAHE(CLIP_LIMIT, TILES, settings.clahe)),
        (
            settings.brightness_contrast,
            A.RandomBrightnessContrast(BRIGHTNESS, CONTRAST, p=settings.brightness_contrast),
        ),
        (settings.gamma, A.RandomGamma((100 * GAMMA[0], 100 * GAMMA[1]), p=settings.gamma)),
        (settings.blur_patches, BlurPatchesTransform(settings.blur_patches)),
    ]
    return SeededTransform(*(step for wanted, step in steps if wanted > 0))
