"""Export a model to ONNX, run the file without dichoseg, and read it back."""

# --8<-- [start:export]
import json

import numpy as np
import onnxruntime
from PIL import Image

import dichoseg

model = dichoseg.load_model("runs/mine")
# one image of the model's own size
difference = dichoseg.export_onnx(model, "mine.onnx")
# any number of images of any size
dichoseg.export_onnx(model, "any.onnx", dynamic=True)
print(f"the file differs from the model by {difference:.1g} at most")
# --8<-- [end:export]

# --8<-- [start:run]
session = onnxruntime.InferenceSession("mine.onnx")
metadata = session.get_modelmeta().custom_metadata_map
preprocessing = json.loads(metadata["dichoseg"])["preprocessing"]
side, mean, std = (preprocessing[name] for name in ("size", "mean", "std"))

photograph = Image.open("photo.jpg").convert("RGB")
square = photograph.resize((side, side), Image.Resampling.BILINEAR)
image = (np.asarray(square) / 255 - mean) / std  # (H, W, 3)
image = image.transpose(2, 0, 1)[None].astype(np.float32)  # (1, 3, H, W)
(probability,) = session.run(["probability"], {"image": image})  # (1, 1, H, W)
mask = Image.fromarray((probability[0, 0] * 255).round().astype(np.uint8))
mask = mask.resize(photograph.size, Image.Resampling.BILINEAR)
mask.save("mask.png")
# --8<-- [end:run]

# --8<-- [start:read]
again = dichoseg.load_model("mine.onnx")  # the file contains the recipe
# --8<-- [end:read]
