"""Swap the loss: combine one of dichoseg's with one of your own."""

# --8<-- [start:loss]
import torch

import dichoseg
from dichoseg.losses import EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum


def dice_loss(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the Dice loss, averaged over images."""
    probability = logits.sigmoid()
    overlap = (probability * mask).sum(dim=(1, 2, 3))
    total = (probability + mask).sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


objective = WeightedSum(
    dice=(1.0, DeepSupervision(dice_loss)),
    edge=(0.5, DeepSupervision(EdgeBCELoss(width=3))),
)
# --8<-- [end:loss]

small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)
# --8<-- [start:fit]
history = dichoseg.fit(
    model,
    dichoseg.SyntheticDataset(8, size=64),
    objective=objective,
    augmentation=dichoseg.augmentations.gpu_augmentation(),
    epochs=2,
    batch_size=4,
)
print({name: round(value, 3) for name, value in history[-1].items()})
# --8<-- [end:fit]
