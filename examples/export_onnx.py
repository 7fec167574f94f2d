"""Export a model to ONNX, run the file without dichoseg, and read it back."""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

import dichoseg

folder = Path(tempfile.mkdtemp())
scene = dichoseg.SyntheticDataset(1, size=128)[0].image
Image.fromarray((scene.permute(1, 2, 0) * 255).byte().numpy()).save(
    folder / "photo.png"
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

# --8<-- [start:export]
# one image of the model's own size
difference = dichoseg.export_onnx(model, folder / "model.onnx")
# any number of images of any size
dichoseg.export_onnx(model, folder / "any.onnx", dynamic=True)
print(f"the file differs from the model by {difference:.1g} at most")
# --8<-- [end:export]

# --8<-- [start:run]
session = onnxruntime.InferenceSession(folder / "model.onnx")
metadata = session.get_modelmeta().custom_metadata_map
preprocessing = json.loads(metadata["dichoseg"])["preprocessing"]
side, mean, std = (preprocessing[name] for name in ("size", "mean", "std"))

photograph = Image.open(folder / "photo.png").convert("RGB")
square = photograph.resize((side, side), Image.Resampling.BILINEAR)
image = (np.asarray(square) / 255 - mean) / std  # (H, W, 3)
image = image.transpose(2, 0, 1)[None].astype(np.float32)  # (1, 3, H, W)
(probability,) = session.run(["probability"], {"image": image})  # (1, 1, H, W)
mask = Image.fromarray((probability[0, 0] * 255).round().astype(np.uint8))
mask = mask.resize(photograph.size, Image.Resampling.BILINEAR)
# --8<-- [end:run]
wanted = dichoseg.predict(folder / "photo.png", model)
difference = np.abs(np.asarray(mask) / 255 - wanted).max()
print(f"without dichoseg: {difference:.1g} from predict")

# --8<-- [start:read]
again = dichoseg.load_model(folder / "model.onnx")  # the file contains the recipe

file = folder / "any.onnx"  # or create the network yourself
other = dichoseg.create_model("isnet", encoder_args=small, weights=file)
# --8<-- [end:read]
difference = np.abs(dichoseg.predict(folder / "photo.png", again) - wanted).max()
print(f"read back: {difference:.1g} from predict")
