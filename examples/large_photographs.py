"""Predict masks of photographs that are much larger than the network's input."""

# --8<-- [start:imports]
import dataclasses
import tempfile
from pathlib import Path

from PIL import Image

import dichoseg
from dichoseg.photographs import predict_files

# --8<-- [end:imports]
folder = Path(tempfile.mkdtemp())
for part in ("im", "gt"):
    (folder / part).mkdir(parents=True)
for index in range(2):
    scene = dichoseg.SyntheticDataset(2, size=192)[index]
    Image.fromarray((scene.image.permute(1, 2, 0) * 255).byte().numpy()).save(
        folder / "im" / f"{scene.name}.jpg"
    )
    Image.fromarray((scene.mask[0] * 255).byte().numpy()).save(
        folder / "gt" / f"{scene.name}.png"
    )
small = {
    "channels": [8, 16],
    "mid_channels": [4, 8],
    "strides": [2, 4],
    "stem_channels": 8,
}
dichoseg.save_model(
    dichoseg.create_model(
        "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
    ),
    folder / "model",
)

# --8<-- [start:sizes]
model = dichoseg.load_model(folder / "model")
dataset = dichoseg.FolderDataset(folder / "im", folder / "gt")
published = model.preprocessing
for size in (64, 96, 128):  # 1024, 1536 and 2048 for IS-Net
    model.preprocessing = dataclasses.replace(published, size=size)
    scores = dichoseg.evaluate(model, dataset, metrics=("mae", "max_f", "mba"))
    print(size, {name: round(score, 4) for name, score in scores.items()})
# --8<-- [end:sizes]

# --8<-- [start:sharpen]
model.preprocessing = dataclasses.replace(published, size=96)
predictor = dichoseg.Predictor(model, sharpen=True)
photograph = next((folder / "im").iterdir())
mask = predictor(photograph)  # (H, W) in [0, 1], at the photograph's own size
# --8<-- [end:sharpen]
print(mask.shape)

# --8<-- [start:folder]
# for files that you trust: Pillow then reads up to twice as many pixels
Image.MAX_IMAGE_PIXELS = 250_000_000
done = predict_files(predictor, [folder / "im"], folder / "masks", threads=1)
print(done.text())
# --8<-- [end:folder]
