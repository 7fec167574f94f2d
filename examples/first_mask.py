"""Create first masks and cut-outs with published weights, and contact sheets of them.

Run it in a folder that contains `photographs`; it downloads the weights once.
"""

# --8<-- [start:imports]
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import dichoseg
from dichoseg import visualize
from dichoseg.photographs import predict_files

# --8<-- [end:imports]

# --8<-- [start:mask]
model = dichoseg.load_model("isnet-general-use")
mask = dichoseg.predict("photographs/rocket.jpg", model)
print(mask.shape, mask.dtype, f"{mask.min():.3f} to {mask.max():.3f}")
Image.fromarray((mask * 255).round().astype(np.uint8)).save("mask.png")
# --8<-- [end:mask]

# --8<-- [start:folders]
predictor = dichoseg.Predictor(model)  # prepared once, for all photographs
print(predict_files(predictor, ["photographs"], "masks").text())
print(predict_files(predictor, ["photographs"], "cut-outs", cutout=True).text())
# --8<-- [end:folders]


# --8<-- [start:look]
def pixels(*path: str) -> NDArray[np.float32]:
    """Read a picture as floats in [0, 1]."""
    return np.asarray(np.asarray(Image.open(Path(*path))) / 255, np.float32)


def on_squares(cut_out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put a cut-out (H, W, 4) on gray squares."""
    dark = (np.indices(cut_out.shape[:2]) // 16).sum(axis=0)[..., None] % 2
    squares = 0.92 - 0.12 * dark
    colors, alpha = cut_out[..., :3], cut_out[..., 3:]
    return np.asarray(squares + alpha * (colors - squares), np.float32)


rows = []
for name in ("rocket.jpg", "coffee.png"):
    result = Path(name).with_suffix(".png").name
    row = {"photograph": pixels("photographs", name)}
    row["mask"] = pixels("masks", result)
    row["cut-out"] = on_squares(pixels("cut-outs", result))
    rows.append(row)
visualize.contact_sheet(rows, tile=400).save("cut_outs.jpg", quality=90)
# --8<-- [end:look]

# --8<-- [start:smaller]
row = {"photograph": pixels("photographs", "chelsea.png")}
for size in (1024, 512):
    model = dichoseg.load_model("isnet-general-use", size=size)
    row[f"--size {size}"] = dichoseg.predict("photographs/chelsea.png", model)
visualize.contact_sheet([row], tile=400).save("sizes.jpg", quality=90)
# --8<-- [end:smaller]
