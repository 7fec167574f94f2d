"""Write masks of a folder of photographs, then cut-outs."""

import tempfile
from pathlib import Path

from PIL import Image

import dichoseg
from dichoseg.photographs import predict_files

folder = Path(tempfile.mkdtemp())
for index in range(4):
    scene = dichoseg.SyntheticDataset(4, size=96)[index]
    photograph = (
        folder
        / "photographs"
        / ("outdoors" if index % 2 else "indoors")
        / f"{scene.name}.jpg"
    )
    photograph.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((scene.image.permute(1, 2, 0) * 255).byte().numpy()).save(
        photograph
    )
small = {
    "channels": [8, 16],
    "mid_channels": [4, 8],
    "strides": [2, 4],
    "stem_channels": 8,
}
model = dichoseg.create_model(
    "isnet", encoder_args=small, preprocessing=dichoseg.Preprocessing(size=64)
)

# --8<-- [start:files]
predictor = dichoseg.Predictor(model)  # prepared once, for all photographs
masks = predict_files(predictor, [folder / "photographs"], folder / "masks")
print(masks.text())

cut_outs = predict_files(
    predictor,
    [folder / "photographs"],
    folder / "cut-outs",  # subfolders are kept: indoors and outdoors
    cutout=True,
    format="webp",
    crop=True,
)
print(cut_outs.text())
for failure in cut_outs.failures:  # the others are written
    print(failure)
# --8<-- [end:files]
