"""Train in a loop of your own, in plain PyTorch, with the results of `fit`."""

# --8<-- [start:parts]
import torch

import dichoseg
from dichoseg.augmentations import RandomBlurPatches
from dichoseg.contracts import Model
from dichoseg.losses import BCELoss
from dichoseg.metrics import OnlineMetrics
from dichoseg.objectives import DeepSupervision
from dichoseg.training import Batches, adamw, cosine

EPOCHS = 30


def create() -> Model:
    """Create the network; the seed sets its initial weights."""
    torch.manual_seed(0)
    return dichoseg.create_model(
        "isnet", encoder="timm:resnet18", decoder="fpn", size=512
    )


train_data, val_data = dichoseg.FolderDataset("data/im", "data/gt").split(0.1, seed=0)
model = create()
augmentation = RandomBlurPatches(patches=5)
objective = DeepSupervision(BCELoss())
# --8<-- [end:parts]

# --8<-- [start:loop]
train_batches = Batches(train_data, model, batch_size=4, augmentation=augmentation)
val_batches = Batches(val_data, model, batch_size=4)
model.to(memory_format=train_batches.layout)
optimizer = adamw(list(model.parameters()), lr=1e-3)
schedule = cosine(optimizer, len(train_batches) * EPOCHS)
best, best_weights = -1.0, model.state_dict()
for epoch in range(1, EPOCHS + 1):
    model.train()
    for batch in train_batches.epoch(epoch):
        with batch.seeded():  # for dropout
            prediction = model(batch.image)
            target = batch.target
            objective(prediction, target).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()

    model.eval()
    metrics = OnlineMetrics()
    with torch.no_grad():
        for batch in val_batches.in_order():
            metrics.update(model(batch.image).logits, batch.mask, batch.weight)
    scores = metrics.compute()
    print(f"epoch {epoch}: {scores}")
    if scores["quick_max_f"] > best:
        best = scores["quick_max_f"]
        best_weights = {
            name: value.clone() for name, value in model.state_dict().items()
        }
model.load_state_dict(best_weights)
# --8<-- [end:loop]

# --8<-- [start:fit]
same = create()
history = dichoseg.fit(
    same,
    train_data,
    val_data=val_data,
    objective=objective,
    augmentation=augmentation,
    epochs=EPOCHS,
    batch_size=4,
    optimization=dichoseg.Optimization(precision="float32"),
)
# --8<-- [end:fit]
