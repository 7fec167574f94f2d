"""Augmentations: `(image, mask) -> (image, mask)`, batched, on the tensors' device, image in [0, 1].

They run before normalization. An augmentation that crops declares `input_scale`, the ratio of its input size to its
output size; `fit` loads images that much larger.

`cpu_augmentation` builds transforms that run in the data loader's workers, for the `transform=` of a data set.
"""

from typing import TYPE_CHECKING

from .._lazy import attach
from .blur_patches import RandomBlurPatches as RandomBlurPatches
from .compose import Compose as Compose
from .compose import KorniaAugmentation as KorniaAugmentation
from .compose import RandomApply as RandomApply
from .crop import RandomBorderCrop as RandomBorderCrop
from .crop import RandomCrop as RandomCrop
from .elastic import RandomElastic as RandomElastic
from .gpu import gpu_augmentation as gpu_augmentation
from .presets import Steps as Steps
from .rotate90 import RandomRotate90 as RandomRotate90
from .scale_crop import RandomScaleCrop as RandomScaleCrop

if TYPE_CHECKING:
    from .cpu import cpu_augmentation as cpu_augmentation
    from .cpu_transforms import BlurPatchesTransform as BlurPatchesTransform
    from .cpu_transforms import BorderCropTransform as BorderCropTransform
    from .cpu_transforms import SeededTransform as SeededTransform
else:
    __getattr__, __dir__ = attach(
        __name__,
        {"cpu": "cpu_augmentation", "cpu_transforms": "BlurPatchesTransform BorderCropTransform SeededTransform"},
    )
