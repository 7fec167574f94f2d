"""Make the pictures of side outputs and of errors in the explanation pages: `stages.jpg` and `errors.jpg`.

    python docs/assets/explanation.py WEIGHTS

WEIGHTS are those of IS-Net for general use. The images are synthetic scenes of the gallery.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from gallery import scene

import dichoseg
from dichoseg.contracts import Model
from dichoseg.metrics import Evaluator
from dichoseg.visualize import contact_sheet, error_map, side_outputs

HERE = Path(__file__).parent
SIZES = (1024, 512, 256)
"""Sizes of the network's input whose errors are shown."""
WHEEL = (slice(365, 637), slice(40, 312))
"""Rows and columns of the picture's close-up."""
METRICS = ("mae", "max_f", "boundary_iou", "hce")


def stages(model: Model) -> None:
    """Draw features and side outputs for the scene with hair."""
    image, mask = scene("hair")
    sheet = side_outputs(model, torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask)[None], tile=190)
    sheet.save(HERE / "stages.jpg", quality=78)


def errors(model: Model) -> None:
    """Draw the errors for the scene with a bicycle, at several input sizes, with the scores of the whole."""
    image, mask = scene("bicycle")
    pixels = (image * 255).round().astype(np.uint8)
    row = {"image": image, "mask, close-up": mask[WHEEL]}
    for size in SIZES:
        prediction = dichoseg.predict(pixels, model, size=size)
        evaluator = Evaluator(metrics=METRICS)
        evaluator.update((prediction * 255).round().astype(np.uint8), mask > 0.5)
        scores = evaluator.compute()
        lines = [f"{size} pixels", *(f"{name} {scores[name]:.{0 if name == 'hce' else 3}f}" for name in METRICS)]
        row["\n".join(lines)] = error_map(prediction, mask)[WHEEL]
    legend = {"false foreground": (1.0, 0.0, 0.0), "missed foreground": (0.0, 0.0, 1.0)}
    contact_sheet([row], legend=legend, tile=240).save(HERE / "errors.jpg", quality=84)


if __name__ == "__main__":
    network = dichoseg.load_model(sys.argv[1])
    stages(network)
    errors(network)
