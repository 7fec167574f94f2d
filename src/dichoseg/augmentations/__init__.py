"""Augmentations: `(image, mask) -> (image, mask)`, batched, on the tensors' device, image in [0, 1].

They run before normalisation. One that crops declares `input_scale`, the factor by which its input is larger
than its output; `fit` loads images that much larger.

What runs in the workers instead is a transform, for the `transform=` of a data set: `cpu_augmentation`.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .blur_patches import RandomBlurPatches as RandomBlurPatches
    from .cpu import SeededTransform as SeededTransform
    from .cpu import cpu_augmentation as cpu_augmentation
    from .cpu_transforms import BlurPatchesTransform as BlurPatchesTransform
    from .cpu_transforms import BorderCropTransform as BorderCropTransform
    from .crop import RandomBorderCrop as RandomBorderCrop
    from .crop import RandomCrop as RandomCrop
    from .elastic import RandomElastic as RandomElastic
    from .gpu import Compose as Compose
    from .gpu import KorniaAugmentation as KorniaAugmentation
    from .gpu import RandomApply as RandomApply
    from .gpu import RandomRotate90 as RandomRotate90
    from .gpu import gpu_augmentation as gpu_augmentation
    from .scale_crop import RandomScaleCrop as RandomScaleCrop
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "BlurPatchesTransform": "cpu_transforms",
            "BorderCropTransform": "cpu_transforms",
            "Compose": "gpu",
            "KorniaAugmentation": "gpu",
            "RandomApply": "gpu",
            "RandomBlurPatches": "blur_patches",
            "RandomBorderCrop": "crop",
            "RandomCrop": "crop",
            "RandomElastic": "elastic",
            "RandomRotate90": "gpu",
            "RandomScaleCrop": "scale_crop",
            "SeededTransform": "cpu",
            "cpu_augmentation": "cpu",
            "gpu_augmentation": "gpu",
        },
    )
