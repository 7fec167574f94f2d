"""Train a model with an objective of dichoseg in a LightningModule."""

# --8<-- [start:module]
import albumentations as A
import lightning
import torch

import dichoseg
from dichoseg.contracts import Image, Mask, Model, Objective, Target
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision

Batch = tuple[Image, Mask, object]  # the third item is the names


class Segmentation(lightning.LightningModule):
    """LightningModule that trains a model with an objective."""

    def __init__(
        self, model: Model, objective: Objective, *, rate: float = 1e-3
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.rate = rate
        self.augmentation = dichoseg.augmentations.gpu_augmentation("isnet")

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """Augment on the device, and return the loss."""
        image, mask, _ = batch
        image, mask = self.augmentation(image, mask)
        return self.loss(image, mask, "train")

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the loss on images without augmentation."""
        image, mask, _ = batch
        self.loss(image, mask, "val")

    def loss(self, image: Image, mask: Mask, stage: str) -> torch.Tensor:
        """Log each term of the objective by its name, and return their sum."""
        net_input = self.model.preprocessing.normalize(image)
        terms = self.objective.terms(self.model(net_input), Target(mask, net_input))
        loss = torch.stack(list(terms.values())).sum()
        named = {f"{stage}/{name}": value for name, value in terms.items()}
        self.log_dict(named, batch_size=len(image))
        self.log(f"{stage}/loss", loss, batch_size=len(image), prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW for the model's parameters only."""
        return torch.optim.AdamW(self.model.parameters(), lr=self.rate)


# --8<-- [end:module]

# --8<-- [start:train]
model = dichoseg.create_model("isnet", size=512)
data = dichoseg.FolderDataset(
    "data/im", "data/gt", transform=A.Compose([A.Resize(512, 512)])
)
train_data, val_data = data.split(0.1, seed=0)
val_data.transform = data.transform  # split leaves it out
trainer = lightning.Trainer(max_epochs=30)
trainer.fit(
    Segmentation(model, DeepSupervision(BCELoss())),
    torch.utils.data.DataLoader(train_data, batch_size=4, shuffle=True),
    torch.utils.data.DataLoader(val_data, batch_size=4),
)
trainer.save_checkpoint("last.ckpt")
# --8<-- [end:train]

# --8<-- [start:after]
dichoseg.save_model(model, "lightning")
scores = dichoseg.evaluate(model, val_data, metrics=("max_f", "mae"))

from_checkpoint = dichoseg.create_model("isnet", size=512, weights="last.ckpt")
# --8<-- [end:after]
