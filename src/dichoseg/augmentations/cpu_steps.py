"""Steps of `cpu_augmentation`: albumentations transforms, each built by a function with its name in `Steps`."""

from __future__ import annotations

import os
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
    """albumentations' transform with the displacement of `RandomElastic`, where the reasons are given."""

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


def crop(height: int, width: int) -> A.BasicTransform:
    """Crop at random."""
    return A.RandomCrop(height, width)


class _Rotate90(A.RandomRotate90):  # type: ignore[misc]
    """albumentations' transform with half turns only if the image is not square, so that its shape does not change."""

    def apply(self, img: NDArray[np.uint8], factor: int, **params: Any) -> NDArray[np.uint8]:
        """Rotate an image (H, W, 3) or a mask (H, W) by `factor` quarter turns, rounded down to half turns."""
        is_square = img.shape[0] == img.shape[1]
        rotated: NDArray[np.uint8] = super().apply(img, factor if is_square else factor // 2 * 2)
        return rotated


def rotate90(p: float) -> A.BasicTransform:
    """Rotate by random quarter turns, or by half turns if the image is not square."""
    return _Rotate90(p)


def elastic(p: float) -> A.BasicTransform:
    """Deform elastically."""
    return _Elastic(mask_interpolation=cv2.INTER_LINEAR, border_mode=cv2.BORDER_REFLECT, p=p)


def horizontal_flip(p: float) -> A.BasicTransform:
    """Flip horizontally."""
    return A.HorizontalFlip(p)


def vertical_flip(p: float) -> A.BasicTransform:
    """Flip vertically."""
    return A.VerticalFlip(p)


def affine(p: float) -> A.BasicTransform:
    """Zoom and rotate, with reflection padding."""
    return A.Affine(
        scale=presets.ZOOM,
        rotate=(-presets.ROTATION, presets.ROTATION),
        keep_ratio=True,
        mask_interpolation=cv2.INTER_LINEAR,
        border_mode=cv2.BORDER_REFLECT_101,
        p=p,
    )


def clahe(p: float) -> A.BasicTransform:
    """Equalize the histogram of the lightness adaptively."""
    return A.CLAHE(presets.CLIP_LIMIT, presets.TILES, p)


def brightness_contrast(p: float) -> A.BasicTransform:
    """Change brightness and contrast."""
    return A.RandomBrightnessContrast(presets.BRIGHTNESS, presets.CONTRAST, p=p)


def gamma(p: float) -> A.BasicTransform:
    """Change gamma."""
    low, high = presets.GAMMA
    return A.RandomGamma((100 * low, 100 * high), p=p)


def color_jitter(p: float) -> A.BasicTransform:
    """Change brightness, contrast, saturation and hue."""
    return A.ColorJitter(*presets.COLOR_JITTER, p=p)


def grayscale(p: float) -> A.BasicTransform:
    """Convert to gray."""
    return A.ToGray(p=p)


def gaussian_blur(p: float) -> A.BasicTransform:
    """Blur the whole image."""
    return A.GaussianBlur((presets.BLUR_KERNEL, presets.BLUR_KERNEL), presets.BLUR_SIGMA, p=p)


def salt_pepper(p: float) -> A.BasicTransform:
    """Add salt-and-pepper noise."""
    return A.SaltAndPepper((presets.SALT_PEPPER, presets.SALT_PEPPER), (0.5, 0.5), p=p)


def jpeg(p: float) -> A.BasicTransform:
    """Compress as JPEG."""
    return A.ImageCompression(quality_range=presets.JPEG_QUALITY, p=p)


def blur_patches(patches: int) -> A.BasicTransform:
    """Blur patches on the border of every image."""
    return BlurPatchesTransform(patches)
