"""`dichoseg convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A file of weights: .pth, .ckpt, .safetensors or .onnx.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="A new folder for the model.")],
    model: Annotated[
        str | None, typer.Option(help="A name from `dichoseg list models`. Default: recognised by the file's keys.")
    ] = None,
    license: Annotated[str, typer.Option(help="Of the weights, for the model card; such as apache-2.0.")] = "unknown",
) -> None:
    """Turn a file of a published network's weights into a saved model, for predict and train."""
    from ..batch_norm import is_uncalibrated
    from ..weights import convert_weights

    converted, stored = convert_weights(source, folder, name=model, license=license)
    parameters = sum(value.numel() for value in converted.parameters())
    name = (converted.recipe or {})["name"]
    typer.echo(f"{source} ({stored.kind}) holds {name}, {parameters:,} parameters; written to {folder}")
    if is_uncalibrated(converted):
        typer.echo(
            "its batch norms are folded into the convolutions: use it for prediction as it is; for training, dichoseg "
            f"train --weights {folder} calibrates it first, as does calibrate_batch_norm in Python"
        )
