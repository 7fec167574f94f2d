"""Train on a folder of images and masks, save, load, predict and score."""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import dichoseg

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
for part in ("im", "gt"):
    (folder / part).mkdir(parents=True, exist_ok=True)
for sample in (dichoseg.SyntheticDataset(12, size=64)[index] for index in range(12)):
    Image.fromarray((sample.image.permute(1, 2, 0) * 255).byte().numpy()).save(
        folder / "im" / f"{sample.name}.png"
    )
    Image.fromarray((sample.mask[0] * 255).byte().numpy()).save(
        folder / "gt" / f"{sample.name}.png"
    )
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}

# --8<-- [start:train]
dataset = dichoseg.FolderDataset(folder / "im", folder / "gt")
training, validation = dataset.split(0.25, seed=0)

model = dichoseg.create_model(
    "isnet",
    encoder_args=small,
    preprocessing=dichoseg.Preprocessing(size=64),
)
history = dichoseg.fit(
    model,
    training,
    val_data=validation,
    epochs=3,
    batch_size=3,
    out=folder / "run",
)
# --8<-- [end:train]
# --8<-- [start:predict]
model = dichoseg.load_model(folder / "run")  # the best weights of the run
photograph = next((folder / "im").iterdir())
mask = dichoseg.predict(photograph, model)  # (H, W) in [0, 1], at the photograph's size
Image.fromarray((mask * 255).round().astype(np.uint8)).save(folder / "mask.png")
scores = dichoseg.evaluate(model, validation)
print({name: round(score, 3) for name, score in scores.items()})
# --8<-- [end:predict]
