"""Plan, train, look at the worst images, correct, train on, compare."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import dichoseg
from dichoseg.evaluation import write_worst

folder = Path(tempfile.mkdtemp())
for index in range(9):
    image, mask, name = dichoseg.SyntheticDataset(9, size=64)[index]
    for kind, tensor in (("im", image), ("gt", mask)):
        levels = (tensor * 255).byte().permute(1, 2, 0).squeeze(2).numpy()
        path = folder / ("train" if index < 6 else "val") / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(levels)).save(path)
small = {
    "channels": [8, 16, 16],
    "mid_channels": [4, 8, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}
model = dichoseg.create_model("isnet", encoder_args=small, size=64)

dichoseg.save_model(model, folder / "model")

# --8<-- [start:plan]
proposal = dichoseg.propose(folder, weights=folder / "model")
print(proposal)
model, arguments = proposal.build()
arguments |= {"epochs": 2}
dichoseg.fit(model, folder, out=folder / "planned", **arguments)
# --8<-- [end:plan]

# --8<-- [start:train]
training = dichoseg.FolderDataset(folder / "train/im", folder / "train/gt")
validation = dichoseg.FolderDataset(folder / "val/im", folder / "val/gt")
dichoseg.fit(
    model,
    training,
    val_data=validation,
    epochs=2,
    batch_size=3,
    out=folder / "first",
)
model = dichoseg.load_model(folder / "first")  # the best weights

scores = dichoseg.evaluate(model, validation, metrics=("fast",))
for image_scores in scores.worst_first("mae")[:3]:
    print(image_scores["name"], image_scores["mae"])
# worst.csv and worst.jpg
write_worst(model, validation, scores, folder / "first")
# --8<-- [end:train]

# a person corrects a mask of the training set
shutil.copytree(folder / "train", folder / "corrected")
for path in sorted((folder / "corrected").glob("*/*.png"))[1:6]:
    (folder / "corrected/im" / path.name).unlink()
    (folder / "corrected/gt" / path.name).unlink()

# --8<-- [start:more]
corrected = dichoseg.FolderDataset(folder / "corrected/im", folder / "corrected/gt")
# lists images that are in both sets: leave them out
print(corrected.report(other=validation))
dichoseg.fit(
    model,
    training.with_pairs(corrected),  # replaces pairs of the same name
    val_data=validation,
    base="average",
    epochs=1,
    batch_size=3,
    optimization=dichoseg.Optimization(learning_rate=1e-4),
    out=folder / "second",
)
# --8<-- [end:more]

# --8<-- [start:compare]
for run in ("first", "second"):
    for size in (48, 64, 96):
        model = dichoseg.load_model(folder / run, size=size)
        scores = dichoseg.evaluate(model, validation, metrics=("mae", "max_f"))
        print(run, size, scores)
# --8<-- [end:compare]
