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

# --8<-- [start:fit]
data = dichoseg.FolderDataset("data/im", "data/gt")
model = dichoseg.create_model("isnet", size=512)
history = dichoseg.fit(
    model, data, objective=objective, epochs=30, batch_size=4, out="runs/dice"
)
print({name: round(value, 3) for name, value in history[-1].items()})
# --8<-- [end:fit]
