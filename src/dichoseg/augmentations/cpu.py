"""Augmentation in the workers, through albumentations: for the `transform=` of a data set."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for newer versions

import albumentations as A
import cv2

from ..contracts import whole_number
from .cpu_transforms import BlurPatchesTransform
from .elastic import displacement
from .presets import (
    BLUR_KERNEL,
    BLUR_SIGMA,
    BRIGHTNESS,
    CLIP_LIMIT,
    COLOR_JITTER,
    CONTRAST,
    ELASTIC_NODES,
    ELASTIC_SHIFT,
    GAMMA,
    JPEG_QUALITY,
    ROTATION,
    SALT_PEPPER,
    TILES,
    ZOOM,
    choose,
)


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
    affine: float | None = None,
    clahe: float | None = None,
    brightness_contrast: float | None = None,
    gamma: float | None = None,
    color_jitter: float | None = None,
    grayscale: float | None = None,
    gaussian_blur: float | None = None,
    salt_pepper: float | None = None,
    jpeg: float | None = None,
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
        affine: Probability of a zoom and a rotation.
        clahe: Probability of adaptive histogram equalisation.
        brightness_contrast: Probability of another brightness and contrast.
        gamma: Probability of another gamma.
        color_jitter: Probability of another brightness, contrast, saturation and hue.
        grayscale: Probability of a grey image.
        gaussian_blur: Probability of a blur of the whole image.
        salt_pepper: Probability of white and black pixels.
        jpeg: Probability of compression.
        blur_patches: Blurred patches on each image's border.

    Raises:
        ValueError: No such preset, or a value out of its range.
    """
    if whole_number("size", size) < 1:
        raise ValueError(f"size must be a positive number of pixels; got {size}")
    settings = choose(
        preset,
        {
            "horizontal_flip": horizontal_flip,
            "vertical_flip": vertical_flip,
            "rotate90": rotate90,
            "input_scale": input_scale,
            "elastic": elastic,
            "affine": affine,
            "clahe": clahe,
            "brightness_contrast": brightness_contrast,
            "gamma": gamma,
            "color_jitter": color_jitter,
            "grayscale": grayscale,
            "gaussian_blur": gaussian_blur,
            "salt_pepper": salt_pepper,
            "jpeg": jpeg,
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
        (
            settings.affine,
            A.Affine(
                scale=ZOOM,
                rotate=(-ROTATION, ROTATION),
                keep_ratio=True,
                mask_interpolation=cv2.INTER_LINEAR,
                border_mode=cv2.BORDER_REFLECT_101,
                p=settings.affine,
            ),
        ),
        (settings.clahe, A.CLAHE(CLIP_LIMIT, TILES, settings.clahe)),
        (
            settings.brightness_contrast,
            A.RandomBrightnessContrast(BRIGHTNESS, CONTRAST, p=settings.brightness_contrast),
        ),
        (settings.gamma, A.RandomGamma((100 * GAMMA[0], 100 * GAMMA[1]), p=settings.gamma)),
        (settings.color_jitter, A.ColorJitter(*COLOR_JITTER, p=settings.color_jitter)),
        (settings.grayscale, A.ToGray(p=settings.grayscale)),
        (settings.gaussian_blur, A.GaussianBlur((BLUR_KERNEL, BLUR_KERNEL), BLUR_SIGMA, p=settings.gaussian_blur)),
        (settings.salt_pepper, A.SaltAndPepper((SALT_PEPPER, SALT_PEPPER), (0.5, 0.5), p=settings.salt_pepper)),
        (settings.jpeg, A.ImageCompression(quality_range=JPEG_QUALITY, p=settings.jpeg)),
        (settings.blur_patches, BlurPatchesTransform(settings.blur_patches)),
    ]
    return SeededTransform(*(step for wanted, step in steps if wanted > 0))
