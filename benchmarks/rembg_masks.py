"""Difference between the masks of rembg, from a file exported by dichoseg, and those of dichoseg.

    python benchmarks/rembg_masks.py MODEL PHOTOGRAPHS --preset rembg-dis --rembg-python REMBG/bin/python [--count 10]

The model is any that `load_model` takes; rembg has an environment of its own. Its masks are compared with
`Predictor(model, precision="float32", normalize="minmax")`, and then with dichoseg's model inside rembg's own steps,
replayed in numpy and Pillow: Lanczos to the tool's size, division by the image's largest value, and on the way back the
stretch to 0 .. 1, truncation to 8 bits and Lanczos. Differences that only the first comparison shows come from these
steps. Differences are in 0 .. 1; one level of 8 bits is 0.0039. Both environments should have the same Pillow: 12.3 and
13.0 resize some photographs differently, by up to three levels.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

import dichoseg
from dichoseg.blocks import resize
from dichoseg.data.decoding import open_image
from dichoseg.data.finding import images_and_others
from dichoseg.export import export_onnx

PRESETS = {
    "rembg-dis": ("dis_custom", 1024),
    "rembg-u2net": ("u2net_custom", 320),
    "rembg-birefnet": ("birefnet-general", 1024),
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="saved model, run or file of published weights")
parser.add_argument("photographs", type=Path, help="folder of photographs")
parser.add_argument("--preset", choices=PRESETS, required=True)
parser.add_argument("--rembg-python", required=True, help="Python of an environment with rembg[cpu]")
parser.add_argument("--count", type=int, default=10, help="photographs")
options = parser.parse_args()
session, size = PRESETS[options.preset]


@torch.inference_mode()
def replayed(photograph: Image.Image) -> NDArray[np.float32]:
    """Compute a mask in [0, 1] with the steps of rembg, but with dichoseg's model instead of the file."""
    pixels = np.array(photograph.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    image = torch.from_numpy(pixels / max(pixels.max(), 1e-6)).float().permute(2, 0, 1)[None]  # (1, 3, H, W)
    preprocessing = predictor.model.preprocessing
    side = preprocessing.size or size
    image = F.avg_pool2d(preprocessing.normalize(image), max(1, size // side))  # from here on as in the file
    probability = resize(predictor.probability(resize(image, (side, side))), (size, size))[0, 0].numpy()
    stretched = (probability - probability.min()) / (probability.max() - probability.min())
    mask = Image.fromarray((stretched * 255).astype(np.uint8))
    return in_unit(mask.resize(photograph.size, Image.Resampling.LANCZOS))


def in_unit(mask: Image.Image) -> NDArray[np.float32]:
    """Convert an 8-bit mask to (H, W) in [0, 1]."""
    return np.asarray(mask).astype(np.float32) / 255


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the intersection over union of two maps at 0.5."""
    union = ((one > 0.5) | (other > 0.5)).sum()
    return float(((one > 0.5) & (other > 0.5)).sum() / union) if union else 1.0


model = dichoseg.load_model(options.model)
predictor = dichoseg.Predictor(model, precision="float32", normalize="minmax")
paths = images_and_others(options.photographs)[0][: options.count]
rows = []
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder).resolve() / "birefnet-general.onnx"  # that session finds a file only by its name
    print(f"exported; on a synthetic scene the file differs by {export_onnx(model, file, preset=options.preset):.1g}")
    subprocess.run(
        [options.rembg_python, Path(__file__).with_name("rembg_loop.py"), session, file],
        input=json.dumps([folder, *(str(path.resolve()) for path in paths)]),
        env=os.environ | {"U2NET_HOME": str(file.parent), "MODEL_CHECKSUM_DISABLED": "1"},  # reads only files below it
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    print(f"{'':24}{'against predict':>27}{'against replay':>18}")
    print(f"{'':24}{'mean':>9}{'largest':>9}{'IoU':>9}{'mean':>9}{'largest':>9}")
    for path in paths:
        mask = in_unit(Image.open(Path(folder) / f"{path.stem}.png"))
        own = predictor(path)
        differences = [np.abs(mask - other) for other in (own, replayed(open_image(path)))]
        first, second = ((float(values.mean()), float(values.max())) for values in differences)
        rows.append((*first, overlap(mask, own), *second))
        print(f"{path.name:24}" + "".join(f"{value:9.5f}" for value in rows[-1]))
means, largest, overlaps, replay_means, replay_largest = zip(*rows, strict=True)
overall = (np.mean(means), max(largest), np.mean(overlaps), np.mean(replay_means), max(replay_largest))
print(f"{'overall':24}" + "".join(f"{value:9.5f}" for value in overall))
