"""Augment with Kornia, and with albumentations in the workers."""

# --8<-- [start:kornia]
import albumentations as A
import kornia.augmentation as K

import dichoseg
from dichoseg.augmentations import (
    Compose,
    KorniaAugmentation,
    RandomApply,
    RandomBlurPatches,
    SeededTransform,
)

data = dichoseg.FolderDataset("data/im", "data/gt")
model = dichoseg.create_model("isnet", size=512)
augmentation = Compose(
    KorniaAugmentation(  # image and mask move together
        K.RandomHorizontalFlip(p=0.5),
        K.RandomPerspective(0.3, p=0.5),
        K.ColorJiggle(0.2, 0.2, 0.2, 0.05, p=0.8),
    ),
    # skipped images cost nothing
    RandomApply(KorniaAugmentation(K.RandomMotionBlur(5, 45.0, 0.5, p=1.0)), p=0.3),
    RandomBlurPatches(5),  # then one of dichoseg's
)
dichoseg.fit(model, data, augmentation=augmentation, epochs=30, batch_size=4)
# --8<-- [end:kornia]

# --8<-- [start:albumentations]
transform = SeededTransform(  # an A.Compose that follows fit's seed in every worker
    A.RandomScale(scale_limit=0.2, p=0.5),
    A.HorizontalFlip(p=0.5),
    A.Perspective(scale=(0.02, 0.08), p=0.5),
    A.RandomShadow(p=0.3),
    A.ImageCompression(quality_range=(50, 95), p=0.3),
)
data = dichoseg.FolderDataset("data/im", "data/gt", transform=transform)
dichoseg.fit(model, data, epochs=30, batch_size=4, workers=4)
# --8<-- [end:albumentations]
