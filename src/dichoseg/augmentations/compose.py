"""Wrappers: augmentations in sequence, on a random part of the batch, and from Kornia."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ..checking import number
from ..contracts import Augmentation, Image, Mask
from ..registry import make_component
from .batch import check_batch


class Compose(nn.Module):
    """Sequence of augmentations.

    Its `input_scale` is the product of theirs.

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


def make_augmentation(names: Iterable[str]) -> Augmentation | None:
    """Return registered augmentations by name, in sequence; None for no name."""
    steps = [make_component("augmentations", name) for name in names]
    return Compose(*steps) if len(steps) > 1 else steps[0] if steps else None


class RandomApply(nn.Module):
    """Augmentation of randomly selected images of a batch; the others stay unchanged.

    Unselected images cost nothing. Kornia's own `p` computes every image and discards the unselected results.

    Args:
        augmentation: Any `(image, mask) -> (image, mask)` that keeps the size.
        p: Probability that an image is selected.
    """

    def __init__(self, augmentation: Augmentation, p: float = 0.5) -> None:
        super().__init__()
        if getattr(augmentation, "input_scale", 1.0) != 1:
            raise ValueError("an augmentation that crops must crop all images of a batch; pass it to Compose directly")
        self.augmentation = augmentation
        self.p = number("p", p, high=1)

    def forward(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Image (B, C, H, W) in [0, 1] and mask (B, 1, H, W) -> both, augmented if selected."""
        check_batch(image, mask)
        drawn = (torch.rand(len(image)) < self.p).nonzero()[:, 0].tolist()
        if len(drawn) == 0:
            return image, mask
        images, masks = list(image), list(mask)
        changed = self.augmentation(*(torch.stack([parts[place] for place in drawn]) for parts in (images, masks)))
        for place, new_image, new_mask in zip(drawn, *changed, strict=True):
            images[place], masks[place] = new_image.to(image.dtype), new_mask.to(mask.dtype)
        return torch.stack(images), torch.stack(masks)


class KorniaAugmentation(nn.Module):
    """Kornia augmentations of image and mask together, in float32, outside of autocast.

    If a transform resamples, masks are resampled bilinearly, so that soft edges stay soft.

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
