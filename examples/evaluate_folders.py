"""Score one folder of predictions as papers do, and two side by side."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import dichoseg
from dichoseg.evaluation import compare_folders

folder = Path(tempfile.mkdtemp())
random = np.random.default_rng(0)
for part in ("masks", "sharp", "soft"):
    (folder / part).mkdir()
for _, mask, name in (
    dichoseg.SyntheticDataset(6, size=64)[index] for index in range(6)
):
    pixels = mask[0].numpy()
    noise = random.random(pixels.shape)
    for part, values in (
        ("masks", pixels > 0.5),
        ("sharp", 0.8 * pixels + 0.2 * noise),
        ("soft", 0.4 + 0.2 * pixels),
    ):
        Image.fromarray((255 * values).astype(np.uint8)).save(
            folder / part / f"{name}.png"
        )

# --8<-- [start:evaluate]
scores = dichoseg.evaluate_folders(folder / "sharp", folder / "masks")
print({name: round(value, 3) for name, value in scores.items()})

predictions = {"sharp": folder / "sharp", "soft": folder / "soft"}
comparison = compare_folders(predictions, folder / "masks")
print(comparison.text())
comparison.write(folder / "scores")  # the same files as --out
# --8<-- [end:evaluate]
