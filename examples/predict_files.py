"""Write masks of a folder of photographs, then cut-outs, and the mask of one."""

# --8<-- [start:files]
import numpy as np
from PIL import Image

import dichoseg
from dichoseg.photographs import predict_files

model = dichoseg.load_model("isnet-general-use")
predictor = dichoseg.Predictor(model)  # prepared once, for all photographs
masks = predict_files(predictor, ["photographs"], "masks")
print(masks.text())

cut_outs = predict_files(
    predictor,
    ["photographs"],
    "cut-outs",  # subfolders are kept
    cutout=True,
    format="webp",
    crop=True,
)
print(cut_outs.text())
for failure in cut_outs.failures:  # the others are written
    print(failure)
# --8<-- [end:files]

# --8<-- [start:one]
mask = dichoseg.predict("photo.jpg", model)
Image.fromarray((mask * 255).round().astype(np.uint8)).save("mask.png")
# --8<-- [end:one]
