"""Batched augmentations on the tensors' device: Kornia's, and what it does not do exactly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..contracts import Image, Mask
from .blur_patches import RandomBlurPatches

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
        if input_scale < 1:
            raise ValueError(f"input_scale must be 1 or more; got {input_scale}")
        self.input_scale = input_scale

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


def gpu_augmentation(
    *,
    horizontal_flip: float = 0.5,
    vertical_flip: float = 0.8,
    rotate90: float = 0.8,
    input_scale: float = 1.25,
    blur_patches: int = 5,
) -> Compose:
    """The tuning's augmentation of IS-Net on the tensors' device: flips, quarter turns, crop, blurred patches.

    Args:
        horizontal_flip: Probability of a horizontal flip, per image.
        vertical_flip: Probability of a vertical flip.
        rotate90: Probability of a random number of quarter turns.
        input_scale: Random crop from images this much larger than the output; 1 crops nothing.
        blur_patches: Blurred patches on each image's border.
    """
    import kornia.augmentation as kornia

    return Compose(
        RandomCrop(input_scale),
        KorniaAugmentation(kornia.RandomHorizontalFlip(p=horizontal_flip), kornia.RandomVerticalFlip(p=vertical_flip)),
        RandomRotate90(rotate90),
        RandomBlurPatches(blur_patches),
    )
