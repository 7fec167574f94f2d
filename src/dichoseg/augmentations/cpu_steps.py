"""Steps of `cpu_augmentation`, by their names in `Steps`: albumentations transforms."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise its import checks for updates over the network

import albumentations as A
import cv2

from . import presets
from .cpu_transforms import BlurPatchesTransform
from .elastic import displacement


class Resize(A.Resize):  # type: ignore[misc]
    """albumentations' transform that resizes by area along shrinking sides, then bilinearly along growing ones.

    The original uses one method for both sides, which shows steps if one shrinks and the other grows.
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
    """albumentations' transform with the displacement of `RandomElastic`, which documents the reasons."""

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the source position of each pixel, in pixels."""
        height, width = params["shape"][:2]
        shift, count = presets.ELASTIC_SHIFT, presets.ELASTIC_NODES
        nodes = self.random_generator.uniform(-shift, shift, (1, 2, count, count))
        across, down = displacement(torch.from_numpy(nodes).float(), height, width)[0].numpy()
        return {
            "map_x": np.arange(width, dtype=np.float32) + width * across,
            "map_y": np.arange(height, dtype=np.float32)[:, None] + height * down,
        }


class _Rotate90(A.RandomRotate90):  # type: ignore[misc]
    """albumentations' transform with half turns only if the image is not square, so that its shape does not change."""

    def apply(self, img: NDArray[np.uint8], factor: int, **params: Any) -> NDArray[np.uint8]:
        """Rotate an image (H, W, 3) or a mask (H, W) by `factor` quarter turns, rounded down to half turns."""
        is_square = img.shape[0] == img.shape[1]
        rotated: NDArray[np.uint8] = super().apply(img, factor if is_square else factor // 2 * 2)
        return rotated


def resize_and_crop(height: int, width: int, scale: float) -> list[A.BasicTransform]:
    """Return a resize to `scale` times a size, and a random crop of that size if it is smaller."""
    resize = Resize(round(scale * height), round(scale * width))
    return [resize, A.RandomCrop(height, width)] if scale > 1 else [resize]


STEPS: Mapping[str, Callable[[Any], A.BasicTransform]] = {
    "rotate90": _Rotate90,
    "elastic": lambda p: _Elastic(mask_interpolation=cv2.INTER_LINEAR, border_mode=cv2.BORDER_REFLECT, p=p),
    "horizontal_flip": A.HorizontalFlip,
    "vertical_flip": A.VerticalFlip,
    "affine": lambda p: A.Affine(
        scale=presets.ZOOM,
        rotate=(-presets.ROTATION, presets.ROTATION),
        keep_ratio=True,
        mask_interpolation=cv2.INTER_LINEAR,
        border_mode=cv2.BORDER_REFLECT_101,
        p=p,
    ),
    "clahe": lambda p: A.CLAHE(presets.CLIP_LIMIT, presets.TILES, p),
    "brightness_contrast": lambda p: A.RandomBrightnessContrast(presets.BRIGHTNESS, presets.CONTRAST, p=p),
    "gamma": lambda p: A.RandomGamma((100 * presets.GAMMA[0], 100 * presets.GAMMA[1]), p=p),
    "color_jitter": lambda p: A.ColorJitter(*presets.COLOR_JITTER, p=p),
    "grayscale": lambda p: A.ToGray(p=p),
    "gaussian_blur": lambda p: A.GaussianBlur((presets.BLUR_KERNEL, presets.BLUR_KERNEL), presets.BLUR_SIGMA, p=p),
    "salt_pepper": lambda p: A.SaltAndPepper((presets.SALT_PEPPER, presets.SALT_PEPPER), (0.5, 0.5), p=p),
    "jpeg": lambda p: A.ImageCompression(quality_range=presets.JPEG_QUALITY, p=p),
    "blur_patches": BlurPatchesTransform,
}
"""Function of each step's value that makes the transform, except for `input_scale`."""
