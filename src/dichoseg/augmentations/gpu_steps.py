"""Steps of `gpu_augmentation`, each built by a function with its name in `Steps`."""

from __future__ import annotations

from torch import nn

from . import presets
from .blur_patches import RandomBlurPatches
from .compose import KorniaAugmentation, RandomApply
from .crop import RandomCrop
from .elastic import RandomElastic
from .rotate90 import RandomRotate90


def input_scale(factor: float) -> RandomCrop:
    """Crop at random."""
    return RandomCrop(factor)


def rotate90(p: float) -> RandomRotate90:
    """Rotate by random quarter turns."""
    return RandomRotate90(p)


def elastic(p: float) -> RandomElastic:
    """Deform elastically."""
    return RandomElastic(p, nodes=presets.ELASTIC_NODES, shift=presets.ELASTIC_SHIFT)


def horizontal_flip(p: float) -> RandomApply:
    """Flip horizontally."""
    import kornia.augmentation as kornia

    return _apply(kornia.RandomHorizontalFlip(p=1.0), p)


def vertical_flip(p: float) -> RandomApply:
    """Flip vertically."""
    import kornia.augmentation as kornia

    return _apply(kornia.RandomVerticalFlip(p=1.0), p)


def affine(p: float) -> RandomApply:
    """Zoom and rotate, with reflection padding."""
    import kornia.augmentation as kornia

    affine = kornia.RandomAffine(
        presets.ROTATION, scale=presets.ZOOM, padding_mode="reflection", align_corners=True, p=1.0
    )
    return _apply(affine, p)


def clahe(p: float) -> RandomApply:
    """Equalize the histogram of the luma adaptively."""
    from .clahe import RandomLumaClahe

    return _apply(RandomLumaClahe(presets.CLIP_LIMIT, presets.TILES, p=1.0), p)


def brightness_contrast(p: float) -> RandomApply:
    """Change brightness and contrast."""
    import kornia.augmentation as kornia

    return _apply(kornia.ColorJiggle(presets.BRIGHTNESS, presets.CONTRAST, p=1.0), p)


def gamma(p: float) -> RandomApply:
    """Change gamma."""
    import kornia.augmentation as kornia

    return _apply(kornia.RandomGamma(presets.GAMMA, p=1.0), p)


def color_jitter(p: float) -> RandomApply:
    """Change brightness, contrast, saturation and hue."""
    import kornia.augmentation as kornia

    return _apply(kornia.ColorJitter(*presets.COLOR_JITTER, p=1.0), p)


def grayscale(p: float) -> RandomApply:
    """Convert to gray."""
    import kornia.augmentation as kornia

    return _apply(kornia.RandomGrayscale(p=1.0), p)


def gaussian_blur(p: float) -> RandomApply:
    """Blur the whole image."""
    import kornia.augmentation as kornia

    window = (presets.BLUR_KERNEL, presets.BLUR_KERNEL)
    return _apply(kornia.RandomGaussianBlur(window, presets.BLUR_SIGMA, p=1.0), p)


def salt_pepper(p: float) -> RandomApply:
    """Add salt-and-pepper noise."""
    import kornia.augmentation as kornia

    amount = (presets.SALT_PEPPER, presets.SALT_PEPPER)
    return _apply(kornia.RandomSaltAndPepperNoise(amount, (0.5, 0.5), p=1.0), p)


def jpeg(p: float) -> RandomApply:
    """Compress as JPEG."""
    import kornia.augmentation as kornia

    return _apply(kornia.RandomJPEG(presets.JPEG_QUALITY, p=1.0), p)


def blur_patches(patches: int) -> RandomBlurPatches:
    """Blur patches on the border of every image."""
    return RandomBlurPatches(patches)


def _apply(transform: nn.Module, p: float) -> RandomApply:
    """Apply a Kornia transform to images selected with probability `p`."""
    return RandomApply(KorniaAugmentation(transform), p)
