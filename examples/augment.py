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
# --8<-- [end:preset]
image, mask, _ = dichoseg.SyntheticDataset(1, size=160)[0]
larger, smaller = image[None], augmentation(image[None], mask[None])[0]
print("strong:", tuple(larger.shape), "->", tuple(smaller.shape))

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
for blurs in (patches, anywhere, as_published):
    blurred, same_mask = blurs(image[None], mask[None])
    changed = (blurred != image).float().mean()
    print(f"{blurs.kind}, {blurs.where}: {changed:.0%} of the image changed")

# --8<-- [start:crop]
augmentation = Compose(
    RandomBorderCrop(2.0, share=0.5),  # fit loads images twice as large
    gpu_augmentation("strong", input_scale=1),
)
# --8<-- [end:crop]
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)
dichoseg.fit(
    model,
    dichoseg.SyntheticDataset(4, size=128),
    augmentation=augmentation,
    epochs=1,
    batch_size=2,
    device="cpu",
)

# --8<-- [start:cpu]
# the same steps, in the workers
transform = cpu_augmentation("strong", size=1024, blur_patches=5)
own = SeededTransform(
    A.SmallestMaxSize(1536),
    BorderCropTransform(1024, 1024, share=0.5),
    A.HorizontalFlip(p=0.5),
    BlurPatchesTransform(8, kind="motion", feather=0.5, p=0.7),
)
# data = dichoseg.FolderDataset("data/im", "data/gt", transform=own)
# --8<-- [end:cpu]
pixels = {
    "image": (image.permute(1, 2, 0) * 255).byte().numpy(),
    "mask": (mask[0] * 255).byte().numpy(),
}
for name, run in (("cpu_augmentation", transform), ("own", own)):
    print(f"{name}:", run(**pixels)["image"].shape)
