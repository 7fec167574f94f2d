"""Code of the home page: published weights, and a network of your own."""

import os
import tempfile
from pathlib import Path

from PIL import Image

# --8<-- [start:imports]
import dichoseg
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum

# --8<-- [end:imports]

# synthetic scenes and a small untrained network stand in
os.chdir(tempfile.mkdtemp())
for folder in ("data/im", "data/gt", "photographs"):
    Path(folder).mkdir(parents=True)
for image, truth, name in (
    dichoseg.SyntheticDataset(10, size=64)[index] for index in range(10)
):
    pixels = Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy())
    pixels.save(f"data/im/{name}.png")
    pixels.save("photographs/chelsea.png")
    Image.fromarray((truth[0] * 255).byte().numpy()).save(f"data/gt/{name}.png")
small = {
    "channels": [8, 16],
    "mid_channels": [4, 8],
    "strides": [2, 4],
    "stem_channels": 8,
}
stand_in = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)
dichoseg.save_model(stand_in, "isnet-general-use")

# --8<-- [start:lines]
published = dichoseg.load_model("isnet-general-use")
mask = dichoseg.predict("photographs/chelsea.png", published)  # (H, W) in [0, 1]

data = dichoseg.FolderDataset("data/im", "data/gt")
training, validation = data.split(0.2, seed=0)
model = dichoseg.create_model("isnet", encoder="timm:resnet18", decoder="fpn", size=512)
loss = WeightedSum(
    bce=(1.0, DeepSupervision(BCELoss())),
    edge=(0.5, DeepSupervision(EdgeBCELoss())),
)
dichoseg.fit(model, training, objective=loss, val_data=validation, out="runs/a")
print(dichoseg.evaluate(model, validation))
# --8<-- [end:lines]
