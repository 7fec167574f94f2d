"""Train on a folder of images and masks, save, load, predict and score."""

# --8<-- [start:train]
import numpy as np
from PIL import Image

import dichoseg
from dichoseg.losses import BCELoss, IoULoss
from dichoseg.objectives import DeepSupervision, WeightedSum
from dichoseg.training import freeze_batch_norm

dataset = dichoseg.FolderDataset("data/im", "data/gt")
training, validation = dataset.split(0.1, seed=0)

model = dichoseg.load_model("isnet-general-use", size=512)
freeze_batch_norm(model)  # statistics of four images are poor
history = dichoseg.fit(
    model,
    training,
    val_data=validation,
    objective=WeightedSum(
        bce=(1.0, DeepSupervision(BCELoss())),
        iou=(1.0, DeepSupervision(IoULoss())),
    ),
    optimization=dichoseg.Optimization(learning_rate=3e-5),
    base="average",  # the weights that it starts from take part in the choice
    epochs=10,
    batch_size=4,
    out="runs/first",
)
# --8<-- [end:train]
# --8<-- [start:predict]
model = dichoseg.load_model("runs/first")  # the best weights of the run
mask = dichoseg.predict("photo.jpg", model)  # (H, W) in [0, 1], at the photo's size
Image.fromarray((mask * 255).round().astype(np.uint8)).save("mask.png")

scores = dichoseg.evaluate(model, validation)
print({name: round(score, 3) for name, score in scores.items()})
# --8<-- [end:predict]
