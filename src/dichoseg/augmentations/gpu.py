"""Batched augmentations on the tensors' device: Kornia's, and what it does not do exactly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..contracts import Image, Mask
from .blur_patches import RandomBlurPatches
from .elastic import RandomElastic
from .presets import BRIGHTNESS, CLIP_LIMIT, CONTRAST, ELASTIC_NODES, ELASTIC_SHIFT, GAMMA, TILES, Settings, choose

Augmentation = Callable[[Image, Mask], tuple[Image, Mask]]


class Compose(nn.Module):
    """Apply augmentations one after the other.

    `input_scale` is the product of theirs.

    Args:
        *augmentations: Any `(image, mask) -> (image, mask)`.
    """

    def __init__(self, *augmentations: Augmentation) -> None:
        super().__init__()
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
        with torch.autocast(image.device.type, enabled=False):
            augmented, moved = self.pipeline(image.float(), mask.float())
        return augmented, moved


class RandomRotate90(nn.Module):
    """Turn image and mask by a random number of quarter turns, exactly, without resampling.

    As albumentations' transform of that name: no turn is among the four that are drawn. A batch of images that
    are not square turns by half turns only, since its shape must stay.

    Args:
        p: Probability, per image, that a turn is drawn.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) and mask (B, 1, H, W) -> both turned alike."""
        count = len(image)
        step = 1 if image.shape[-2] == image.shape[-1] else 2
        turns = torch.randint(4 // step, (count,)) * step * (torch.rand(count) < self.p)

        def turned(batch: Tensor) -> Tensor:
            return torch.stack([one.rot90(turn, (-2, -1)) for one, turn in zip(batch, turns.tolist(), strict=True)])

        return turned(image), turned(mask)


class RandomCrop(nn.Module):
    """Cut a random window out of each image and mask: `1 / input_scale` of their size.

    Args:
        input_scale: Size of the input over size of the output, 1 or more: 1.25 for 1280 -> 1024.

    Raises:
        ValueError: A scale below 1.
    """

    def __init__(self, input_scale: float = 1.25) -> None:
        super().__init__()
        self.input_scale = checked_input_scale(input_scale)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) and mask (B, 1, H, W) -> both cut alike, sides divided by `input_scale`."""
        height, width = image.shape[-2:]
        new_height, new_width = round(height / self.input_scale), round(width / self.input_scale)
        tops = torch.randint(height - new_height + 1, (len(image),)).tolist()
        lefts = torch.randint(width - new_width + 1, (len(image),)).tolist()

        def cut(batch: Tensor) -> Tensor:
            return torch.stack(
                [
                    one[:, top : top + new_height, left : left + new_width]
                    for one, top, left in zip(batch, tops, lefts, strict=True)
                ]
            )

        return cut(image), cut(mask)


def checked_input_scale(input_scale: float) -> float:
    """The scale of an augmentation that crops; a ValueError below 1."""
    if input_scale < 1:
        raise ValueError(f"input_scale must be 1 or more; got {input_scale}")
    return input_scale


def gpu_augmentation(
    preset: str = "dis-tuning",
    *,
    horizontal_flip: float | None = None,
    vertical_flip: float | None = None,
    rotate90: float | None = None,
    input_scale: float | None = None,
    elastic: float | None = None,
    clahe: float | None = None,
    brightness_contrast: float | None = None,
    gamma: float | None = None,
    blur_patches: int | None = None,
) -> Compose:
    """A published recipe of augmentation, on the tensors' device.

    `"dis-tuning"` is the tuning's of IS-Net: random crop from images 1.25 times as large (1280 -> 1024), quarter
    turns 0.8, elastic deformation 0.8, horizontal flip 0.5, vertical flip 0.8, CLAHE 0.8, brightness and contrast
    0.8, gamma 0.8, and five blurred patches on the border of every image. `"isnet"` is IS-Net's own: horizontal flip
    0.5, nothing else.

    Source: the tuning's code, for which steps there are and how probable. It does not say how strong the elastic
    deformation, CLAHE, brightness, contrast and gamma are; here each node of an 8 by 8 grid moves by up to 1.5 % of
    the side along each axis, CLAHE equalises the luma in 8 by 8 tiles with a clip limit of 1 to 4, the contrast
    changes by up to 20 % and the brightness by up to 0.2 of white, drawn once for both, and the exponent is 0.8 to
    1.2. The patches' sizes are `RandomBlurPatches`' own. Photometric steps leave the mask alone; a step that cannot
    act is left out.

    Args:
        preset: `"dis-tuning"` or `"isnet"`. Whatever follows and is not None replaces the preset's value.
        horizontal_flip: Probability of a horizontal flip, per image.
        vertical_flip: Probability of a vertical flip.
        rotate90: Probability of a random number of quarter turns.
        input_scale: Random crop from images this much larger than the output; 1 crops nothing.
        elastic: Probability of an elastic deformation.
        clahe: Probability of adaptive histogram equalisation. Images must be larger than 8 pixels.
        brightness_contrast: Probability of another brightness and contrast.
        gamma: Probability of another gamma.
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
            "clahe": clahe,
            "brightness_contrast": brightness_contrast,
            "gamma": gamma,
            "blur_patches": blur_patches,
        },
    )
    kornia_steps = _kornia_steps(settings)
    steps: list[tuple[float, Augmentation]] = [
        (settings.input_scale - 1, RandomCrop(settings.input_scale)),
        (settings.rotate90, RandomRotate90(settings.rotate90)),
        (settings.elastic, RandomElastic(settings.elastic, nodes=ELASTIC_NODES, shift=ELASTIC_SHIFT)),
        (len(kornia_steps), KorniaAugmentation(*kornia_steps)),
        (settings.blur_patches, RandomBlurPatches(settings.blur_patches)),
    ]
    return Compose(*(step for wanted, step in steps if wanted > 0))


def dis_tuning() -> Compose:
    """`gpu_augmentation("dis-tuning")`, for the command line."""
    return gpu_augmentation("dis-tuning")


def isnet() -> Compose:
    """`gpu_augmentation("isnet")`, for the command line."""
    return gpu_augmentation("isnet")


def _kornia_steps(settings: Settings) -> list[nn.Module]:
    """Flips and photometric steps; those of probability 0 are left out, because Kornia would still draw for them."""
    import kornia.augmentation as kornia

    from .clahe import RandomLumaClahe

    steps: list[tuple[float, nn.Module]] = [
        (settings.horizontal_flip, kornia.RandomHorizontalFlip(p=settings.horizontal_flip)),
        (settings.vertical_flip, kornia.RandomVerticalFlip(p=settings.vertical_flip)),
        (settings.clahe, RandomLumaClahe(CLIP_LIMIT, TILES, p=settings.clahe)),
        (settings.brightness_contrast, kornia.ColorJiggle(BRIGHTNESS, CONTRAST, p=settings.brightness_contrast)),
        (settings.gamma, kornia.RandomGamma(GAMMA, p=settings.gamma)),
    ]
    return [step for p, step in steps if p > 0]
