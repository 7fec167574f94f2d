"""Train on your own images and masks: check, fix, train, score."""

import copy
import logging
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import dichoseg

logging.basicConfig(format="%(message)s", level=logging.INFO)
folder = Path(tempfile.mkdtemp()) / "my photos"
for part in ("im", "gt", "cut-outs"):
    (folder / part).mkdir(parents=True)
for index in range(12):
    image, mask, name = dichoseg.SyntheticDataset(12, size=64)[index]
    pixels, alpha = (
        (tensor * 255).byte().numpy() for tensor in (image.permute(1, 2, 0), mask[0])
    )
    Image.fromarray(pixels).save(folder / "im" / f"{name}.png")
    Image.fromarray(alpha).resize((64, 64) if index else (48, 48)).save(
        folder / "gt" / f"{name}.png"
    )
    Image.fromarray(np.dstack([pixels, alpha])).save(
        folder / "cut-outs" / f"{name}.png"
    )
(folder / "im" / "notes.png").write_text("not a picture")
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)

# --8<-- [start:report]
dataset = dichoseg.FolderDataset(folder / "im", folder / "gt", strict=False)
report = dataset.report()  # lists unpaired files, which are errors if strict=True
print(report)
# --8<-- [end:report]

# --8<-- [start:mend]
dataset = dichoseg.FolderDataset(
    folder / "im",
    folder / "gt",
    strict=False,
    resize_masks=True,
)
# exclude the samples that are still unusable
dataset = dataset.without(dataset.report().unusable)
training, validation = dataset.split(0.25, seed=0)
# --8<-- [end:mend]

# --8<-- [start:overfit]
trial = copy.deepcopy(model)  # the model itself stays untrained
# about 50 epochs are needed in practice
dichoseg.training.overfit(trial, training, batches=1, epochs=3, batch_size=4)
# --8<-- [end:overfit]

# --8<-- [start:train]
history = dichoseg.fit(
    model,
    training,
    val_data=validation,
    augmentation=dichoseg.augmentations.gpu_augmentation("isnet"),
    epochs=3,
    batch_size=3,
    out=folder / "run",
)
print(dichoseg.evaluate(model, validation))
# --8<-- [end:train]

# --8<-- [start:cpu-augmentation]
# size is the model's
training.transform = dichoseg.augmentations.cpu_augmentation("dis_tuning", size=64)
dichoseg.fit(model, training, val_data=validation, epochs=1, batch_size=3, workers=1)
# --8<-- [end:cpu-augmentation]

# --8<-- [start:cut-outs]
# the alpha channel is the mask
cut_outs = dichoseg.FolderDataset(folder / "cut-outs", masks="alpha")
# --8<-- [end:cut-outs]
print(len(cut_outs), "cut-outs")
