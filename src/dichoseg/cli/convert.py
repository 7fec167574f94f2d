"""`dichoseg convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from .options import Text


def convert(
    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SRC")],
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DST")],
    *,
    model: Text = None,
    license: str = "unknown",
) -> None:
    """Turn a file of a published network's weights into a saved model, for predict and train.

    Args:
        source: File of weights: .pth, .ckpt, .safetensors or .onnx; or a name from `dichoseg list weights`.
        folder: New folder for the model.
        model: Name from `dichoseg list models`. Default: recognized by the file's keys.
        license: License of the weights, for the model card, such as apache-2.0.
    """
    from ..batch_norm import is_uncalibrated
    from ..weights import convert_weights

    converted, stored = convert_weights(source, folder, name=model, license=license)
    parameters = sum(value.numel() for value in converted.parameters())
    name = (converted.recipe or {})["name"]
    print(f"{source} ({stored.kind}) holds {name}, {parameters:,} parameters; written to {folder}")
    if is_uncalibrated(converted):
        print(
            "its batch norms are folded into the convolutions: it is ready for prediction; for training, dichoseg "
            f"train --weights {folder} calibrates it first, as does calibrate_batch_norm in Python"
        )
