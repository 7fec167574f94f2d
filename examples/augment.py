"""Augmentation: presets, blurred patches, crops with the border in view."""

# --8<-- [start:imports]
import albumentations as A

import dichoseg
from dichoseg.augmentations import (
    BlurPatchesTransform,
    BorderCropTransform,
    Compose,
    RandomBlurPatches,
    RandomBorderCrop,
    SeededTransform,
    cpu_augmentation,
    gpu_augmentation,
)

# --8<-- [end:imports]
# --8<-- [start:preset]
# other steps keep the preset's settings
augmentation = gpu_augmentation("strong", jpeg=0.5, blur_patches=5)

data = dichoseg.FolderDataset("data/im", "data/gt")
model = dichoseg.create_model("isnet", size=512)
dichoseg.fit(model, data, augmentation=augmentation, epochs=30, batch_size=4)
# --8<-- [end:preset]

# --8<-- [start:patches]
# default: hard-edged boxes on the borders of all objects
patches = RandomBlurPatches(8, kind="motion", feather=0.5, p=0.7)
anywhere = RandomBlurPatches(
    8,
    where="anywhere",
    kind="gaussian",
    size=(32, 96),
    kernel=(9, 25),
    unit="pixels",
)
as_published = RandomBlurPatches(5, objects="largest")
# --8<-- [end:patches]

# --8<-- [start:crop]
augmentation = Compose(
    RandomBorderCrop(2.0, share=0.5),  # fit loads images twice as large
    gpu_augmentation("strong", input_scale=1),
)
dichoseg.fit(model, data, augmentation=augmentation, epochs=30, batch_size=4)
# --8<-- [end:crop]

# --8<-- [start:cpu]
# the same steps, in the workers
transform = cpu_augmentation("strong", size=512, blur_patches=5)
own = SeededTransform(
    A.SmallestMaxSize(768),
    BorderCropTransform(512, 512, share=0.5),
    A.HorizontalFlip(p=0.5),
    BlurPatchesTransform(8, kind="motion", feather=0.5, p=0.7),
)
data = dichoseg.FolderDataset("data/im", "data/gt", transform=own)  # or transform
dichoseg.fit(model, data, epochs=30, batch_size=4, workers=4)
# --8<-- [end:cpu]
