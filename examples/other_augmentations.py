"""Augment with Kornia, and with albumentations in the workers."""

import tempfile
from pathlib import Path

# --8<-- [start:imports]
import albumentations as A
import kornia.augmentation as K
from PIL import Image

import dichoseg
from dichoseg.augmentations import (
    Compose,
    KorniaAugmentation,
    RandomApply,
    RandomBlurPatches,
    SeededTransform,
)

# --8<-- [end:imports]

folder = Path(tempfile.mkdtemp())
for part in ("im", "gt"):
    (folder / part).mkdir()
scenes = dichoseg.SyntheticDataset(4, size=96)
for index in range(len(scenes)):
    image, mask, name = scenes[index]
    Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(
        folder / "im" / f"{name}.png"
    )
    Image.fromarray((mask[0] * 255).byte().numpy()).save(folder / "gt" / f"{name}.png")
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)

# --8<-- [start:kornia]
data = dichoseg.FolderDataset(folder / "im", folder / "gt")
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
history = dichoseg.fit(model, data, augmentation=augmentation, epochs=1, batch_size=2)
# --8<-- [end:kornia]
print(f"Kornia: loss {history[-1]['loss']:.3f}")

# --8<-- [start:albumentations]
transform = SeededTransform(  # an A.Compose that follows fit's seed in every worker
    A.RandomScale(scale_limit=0.2, p=0.5),
    A.HorizontalFlip(p=0.5),
    A.Perspective(scale=(0.02, 0.08), p=0.5),
    A.RandomShadow(p=0.3),
    A.ImageCompression(quality_range=(50, 95), p=0.3),
)
data = dichoseg.FolderDataset(folder / "im", folder / "gt", transform=transform)
history = dichoseg.fit(model, data, epochs=1, batch_size=2)
# --8<-- [end:albumentations]
print(f"albumentations: loss {history[-1]['loss']:.3f}")
