"""Batched augmentations on the tensors' device: Kornia's, and what it does not do exactly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..contracts import Image, Mask
from .blur_patches import RandomBlurPatches
from .checks import check_batch, check_functions, checked_probability
from .crop import RandomCrop
from .elastic import RandomElastic
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
    Settings,
    choose,
)

Augmentation = Callable[[Image, Mask], tuple[Image, Mask]]


class Compose(nn.Module):
    """Apply augmentations one after the other.

    `input_scale` is the product of theirs.

    Args:
        *augmentations: Any `(image, mask) -> (image, mask)`.

    Raises:
        TypeError: Something that is no function.
    """

    def __init__(self, *augmentations: Augmentation) -> None:
        super().__init__()
        check_functions(augmentations)
        self.augmentations = augmentations
        self.modules_inside = nn.ModuleList(part for part in augmentations if isinstance(part, nn.Module))
        self.input_scale = 1.0
        for part in augmentations:
            self.input_scale *= getattr(part, "input_scale", 1.0)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> both augmented."""
        for augmentation in self.augmentations:
            image, mask = augmentation(image, mask)
        return image, mask


class KorniaAugmentation(nn.Module):
    """Kornia augmentations on image and mask together, in float32, outside of autocast.

    Masks are resampled bilinearly where a transform resamples, so that soft edges stay soft.

    Args:
        *transforms: Kornia 2D augmentations, such as `kornia.augmentation.RandomHorizontalFlip(p=0.5)`.
    """

    def __init__(self, *transforms: nn.Module) -> None:
        super().__init__()
        from kornia.augmentation import AugmentationSequential
        from kornia.constants import DataKey, Resample

        self.pipeline = AugmentationSequential(
            *transforms,
            data_keys=["input", "mask"],
            extra_args={DataKey.MASK: {"resample": Resample.BILINEAR, "align_corners": True}},
        )

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> both augmented."""
        check_batch(image, mask)
        with torch.autocast(image.device.type, enabled=False):
            augmented, moved = self.pipeline(image.float(), mask.float())
        return augmented, moved


class RandomApply(nn.Module):
    """Apply an augmentation to some images of a batch, drawn each for itself, and leave the others as they are.

    The others cost nothing. Kornia's own `p` computes every image and then throws away what was not drawn.

    Args:
        augmentation: Any `(image, mask) -> (image, mask)` that keeps the size.
        p: Probability, per image.

    Raises:
        ValueError: A probability outside of 0 to 1, or an augmentation that crops.
    """

    def __init__(self, augmentation: Augmentation, p: float = 0.5) -> None:
        super().__init__()
        check_functions([augmentation])
        if getattr(augmentation, "input_scale", 1.0) != 1:
            raise ValueError("an augmentation that crops must crop all images of a batch; Compose takes it as it is")
        self.augmentation = augmentation
        self.p = checked_probability("p", p)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> both, augmented where they were drawn."""
        check_batch(image, mask)
        drawn = (torch.rand(len(image)) < self.p).nonzero()[:, 0].tolist()
        if len(drawn) == 0:
            return image, mask
        images, masks = list(image), list(mask)
        changed = self.augmentation(*(torch.stack([parts[place] for place in drawn]) for parts in (images, masks)))
        for place, new_image, new_mask in zip(drawn, *changed, strict=True):
            images[place], masks[place] = new_image.to(image.dtype), new_mask.to(mask.dtype)
        return torch.stack(images), torch.stack(masks)


class RandomRotate90(nn.Module):
    """Turn image and mask by a random number of quarter turns, exactly, without resampling.

    As albumentations' transform of that name: no turn is among the four that are drawn. A batch of images that
    are not square turns by half turns only, since its shape must stay.

    Args:
        p: Probability, per image, that a turn is drawn.

    Raises:
        ValueError: A probability outside of 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = checked_probability("p", p)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) and mask (B, 1, H, W) -> both turned alike."""
        check_batch(image, mask)
        count = len(image)
        step = 1 if image.shape[-2] == image.shape[-1] else 2
        turns = torch.randint(4 // step, (count,)) * step * (torch.rand(count) < self.p)

        def turned(batch: Tensor) -> Tensor:
            return torch.stack([one.rot90(turn, (-2, -1)) for one, turn in zip(batch, turns.tolist(), strict=True)])

        return turned(image), turned(mask)


def gpu_augmentation(
    preset: str = "dis-tuning",
    *,
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
) -> Compose:
    """A published recipe of augmentation, on the tensors' device.

    `"dis-tuning"` is the tuning's of IS-Net: random crop from images 1.25 times as large (1280 -> 1024), quarter
    turns 0.8, elastic deformation 0.8, horizontal flip 0.5, vertical flip 0.8, CLAHE 0.8, brightness and contrast
    0.8, gamma 0.8, and five blurred patches on the border of every image. `"isnet"` is IS-Net's own: horizontal flip
    0.5, nothing else. `"strong"` is what newer recipes of the field add to it: random crop from images 1.25 times as
    large, horizontal flip 0.5, zoom and rotation 0.5, colour jitter 0.8, grey 0.1, Gaussian blur 0.2, salt and pepper
    0.2, JPEG 0.2.

    Source of the tuning's: its code, for which steps there are and how probable. It does not say how strong the elastic
    deformation, CLAHE, brightness, contrast and gamma are; here each node of an 8 by 8 grid moves by up to 1.5 % of
    the side along each axis, CLAHE equalises the luma in 8 by 8 tiles with a clip limit of 1 to 4, the contrast
    changes by up to 20 % and the brightness by up to 0.2 of white, drawn once for both, and the exponent is 0.8 to
    1.2. The patches' sizes are `RandomBlurPatches`' own.

    Sources of the strong one: InSPyReNet's configuration, for a zoom of 0.75 to 1.25 with probability 0.5; BiRefNet's
    and MVANet's code, for a rotation by up to 15 degrees, brightness and contrast times 0.5 to 1.5, saturation times 0
    to 2, each drawn apart and applied in random order, and 0.15 % of the pixels white or black; the tuning, for the
    crop. Ours are the hue, shifted by up to 0.05 of a turn, the grey images, the blur with a standard deviation of 0.5
    to 1.5 pixels, a JPEG quality of 50 to 95, and the probabilities of photometric steps (BiRefNet applies its own to
    every image). Their sharpening is left out, because Kornia and albumentations mean different things by it. Zoom and
    rotation are drawn once for both steps; what lies beyond the image is its reflection, in the mask too.

    Photometric steps leave the mask alone; a step that cannot act is left out.

    Args:
        preset: `"dis-tuning"`, `"isnet"` or `"strong"`. Whatever follows and is not None replaces the preset's value.
        horizontal_flip: Probability of a horizontal flip, per image.
        vertical_flip: Probability of a vertical flip.
        rotate90: Probability of a random number of quarter turns.
        input_scale: Random crop from images this much larger than the output; 1 crops nothing.
        elastic: Probability of an elastic deformation.
        affine: Probability of a zoom and a rotation.
        clahe: Probability of adaptive histogram equalisation. Images must be larger than 8 pixels.
        brightness_contrast: Probability of another brightness and contrast.
        gamma: Probability of another gamma.
        color_jitter: Probability of another brightness, contrast, saturation and hue.
        grayscale: Probability of a grey image.
        gaussian_blur: Probability of a blur of the whole image. Images must be larger than 4 pixels.
        salt_pepper: Probability of white and black pixels.
        jpeg: Probability of compression.
        blur_patches: Blurred patches on each image's border.

    Raises:
        ValueError: No such preset, or a value out of its range.
    """
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
    steps: list[tuple[float, Augmentation]] = [
        (settings.input_scale - 1, RandomCrop(settings.input_scale)),
        (settings.rotate90, RandomRotate90(settings.rotate90)),
        (settings.elastic, RandomElastic(settings.elastic, nodes=ELASTIC_NODES, shift=ELASTIC_SHIFT)),
        *((p, RandomApply(KorniaAugmentation(step), p)) for p, step in _kornia_steps(settings)),
        (settings.blur_patches, RandomBlurPatches(settings.blur_patches)),
    ]
    return Compose(*(step for wanted, step in steps if wanted > 0))


def dis_tuning() -> Compose:
    """`gpu_augmentation("dis-tuning")`, for the command line."""
    return gpu_augmentation("dis-tuning")


def isnet() -> Compose:
    """`gpu_augmentation("isnet")`, for the command line."""
    return gpu_augmentation("isnet")


def strong() -> Compose:
    """`gpu_augmentation("strong")`, for the command line."""
    return gpu_augmentation("strong")


def _kornia_steps(settings: Settings) -> list[tuple[float, nn.Module]]:
    """Flips, affine and photometric steps, each acting on all that it is given, and their probabilities."""
    import kornia.augmentation as kornia

    from .clahe import RandomLumaClahe

    brightness, contrast, saturation, hue = COLOR_JITTER
    kernel, amount = (BLUR_KERNEL, BLUR_KERNEL), (SALT_PEPPER, SALT_PEPPER)
    affine = kornia.RandomAffine(ROTATION, scale=ZOOM, padding_mode="reflection", align_corners=True, p=1.0)
    return [
        (settings.horizontal_flip, kornia.RandomHorizontalFlip(p=1.0)),
        (settings.vertical_flip, kornia.RandomVerticalFlip(p=1.0)),
        (settings.affine, affine),
        (settings.clahe, RandomLumaClahe(CLIP_LIMIT, TILES, p=1.0)),
        (settings.brightness_contrast, kornia.ColorJiggle(BRIGHTNESS, CONTRAST, p=1.0)),
        (settings.gamma, kornia.RandomGamma(GAMMA, p=1.0)),
        (settings.color_jitter, kornia.ColorJitter(brightness, contrast, saturation, hue, p=1.0)),
        (settings.grayscale, kornia.RandomGrayscale(p=1.0)),
        (settings.gaussian_blur, kornia.RandomGaussianBlur(kernel, BLUR_SIGMA, p=1.0)),
        (settings.salt_pepper, kornia.RandomSaltAndPepperNoise(amount, (0.5, 0.5), p=1.0)),
        (settings.jpeg, kornia.RandomJPEG(JPEG_QUALITY, p=1.0)),
    ]
