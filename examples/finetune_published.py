"""Fine-tune published weights at a smaller size, and average them with the original.

`data` contains train and val. The network is scored on data/val at its own size, before
and after; nothing is selected by these images.
"""

# --8<-- [start:load]
import copy
import dataclasses

import torch

import dichoseg
from dichoseg.augmentations import Compose, RandomBlurPatches, gpu_augmentation
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum
from dichoseg.training import calibrate_batch_norm, is_uncalibrated

train_data = dichoseg.FolderDataset("data/train/im", "data/train/gt")
val_data = dichoseg.FolderDataset("data/val/im", "data/val/gt")
model = dichoseg.load_model("isnet-general-use")
own = model.preprocessing  # the published size and normalization
print("before:", dichoseg.evaluate(model, val_data, metrics=("fast",)))
# --8<-- [end:load]

# --8<-- [start:calibrate]
model.preprocessing = smaller = dataclasses.replace(own, size=384)
if is_uncalibrated(model):  # an ONNX file folds batch norm into the convolutions
    spread = range(0, len(train_data), max(1, len(train_data) // 16))
    images = torch.cat([smaller.resize(train_data[index][0][None]) for index in spread])
    calibrate_batch_norm(model, smaller.normalize(images))  # the maps do not change
# --8<-- [end:calibrate]

# --8<-- [start:train]
published = copy.deepcopy(model.state_dict())
dichoseg.fit(
    model,
    train_data,
    objective=WeightedSum(
        bce=(1.0, DeepSupervision(BCELoss())),
        edge=(0.5, DeepSupervision(EdgeBCELoss(), side_weight=0.0)),
    ),
    augmentation=Compose(gpu_augmentation("isnet"), RandomBlurPatches()),
    optimization=dichoseg.Optimization(learning_rate=3e-5),
    epochs=12,
    batch_size=8,
    out="runs/fine",
)
# --8<-- [end:train]

# --8<-- [start:average]
averaged = {
    name: (published[name] + value) / 2 if value.is_floating_point() else value
    for name, value in model.state_dict().items()
}
model.load_state_dict(averaged)
model.preprocessing = own
print("after:", dichoseg.evaluate(model, val_data, metrics=("fast",)))
dichoseg.save_model(model, "fine-tuned")
# --8<-- [end:average]
