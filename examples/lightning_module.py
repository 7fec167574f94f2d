"""Train a model with an objective of dichoseg in a LightningModule."""

import tempfile
from pathlib import Path

# --8<-- [start:module]
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

run = Path(tempfile.mkdtemp())
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
preprocessing = dichoseg.Preprocessing(size=64)

# --8<-- [start:train]
model = dichoseg.create_model("isnet", encoder_args=small, preprocessing=preprocessing)
train_data = dichoseg.SyntheticDataset(8, size=64)
val_data = dichoseg.SyntheticDataset(4, size=64, seed=1)
trainer = lightning.Trainer(
    max_epochs=2,
    accelerator="cpu",
    default_root_dir=run,
    log_every_n_steps=1,
)
trainer.fit(
    Segmentation(model, DeepSupervision(BCELoss())),
    torch.utils.data.DataLoader(train_data, batch_size=4, shuffle=True),
    torch.utils.data.DataLoader(val_data, batch_size=4),
)
trainer.save_checkpoint(run / "last.ckpt")
# --8<-- [end:train]
print(
    {name: round(float(value), 3) for name, value in trainer.callback_metrics.items()}
)

# --8<-- [start:after]
dichoseg.save_model(model, run / "model")
scores = dichoseg.evaluate(model, val_data, metrics=("max_f", "mae"))

from_checkpoint = dichoseg.create_model(
    "isnet",
    encoder_args=small,
    preprocessing=preprocessing,
    weights=run / "last.ckpt",
)
# --8<-- [end:after]
image = val_data[0].image
difference = abs(
    dichoseg.predict(image, from_checkpoint)
    - dichoseg.predict(image, dichoseg.load_model(run / "model"))
)
print(scores, f"checkpoint and saved model: {difference.max():.1g} apart")
assert difference.max() == 0
