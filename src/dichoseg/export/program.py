"""Export of a model as a program of torch.export."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch

from ..contracts import Model
from ..runtime.files import check_destination, write_atomically
from ..weights.format import METADATA_KEY, config_of
from .network import compute_references, largest_difference, prepare_export


def export_program(model: Model, path: str | Path, *, size: int | tuple[int, int] | None = None) -> float:
    """Write a model as a `.pt2` file of torch.export, which torch runs without dichoseg.

    The program takes a photograph preprocessed by `model.preprocessing`, (1, 3, H, W) float32, and returns its
    probability (1, 1, H, W) in [0, 1]: `torch.export.load(path).module()(image)`. Size and batch are fixed. The extra
    file `dichoseg` in it describes in JSON how the model is made and how its input is preprocessed.

    Args:
        model: Any model that takes images. It is not changed and keeps its mode and device.
        path: Path of the file, written completely or not at all. An existing one is replaced.
        size: Size of the image in pixels: (height, width), or an int for a square. Default: the model's own.

    Returns:
        Largest difference between the file's probability and the model's on a random image.

    Raises:
        RuntimeError: The file would differ from the model by more than 1e-3. No file is written then.
    """
    path = Path(path)
    check_destination(path)
    export = prepare_export(model, size=size)
    shape = export.preprocessing.height_width
    if shape is None:
        raise ValueError("the model takes photographs at their native size, but a program has one size: set size=")
    references = compute_references(export, [(1, *shape)])
    program = torch.export.export(export.module, (references[0].image,))
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA_KEY: json.dumps(config_of(export.network))})
    buffer.seek(0)
    difference = largest_difference(torch.export.load(buffer).module(), references)
    write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getvalue()))
    return difference
