"""`dichoseg convert` and `dichoseg list`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import registry


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
    from ..models.weights import convert_weights, is_uncalibrated

    converted, stored = convert_weights(source, folder, name=model, license=license)
    parameters = sum(value.numel() for value in converted.parameters())
    name = (converted.recipe or {})["name"]
    typer.echo(f"{source} ({stored.kind}) holds {name}, {parameters:,} parameters; written to {folder}")
    if is_uncalibrated(converted):
        typer.echo(
            "its batch norms are folded into the convolutions: use it for prediction as it is; for training, dichoseg "
            f"train --weights {folder} calibrates it first, as does calibrate_batch_norm in Python"
        )


def list_(
    group: Annotated[str | None, typer.Argument(help=", ".join(registry.GROUPS) + ". Default: all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Import each, and show what is broken.")] = False,
) -> None:
    """List the installed components and the packages that they come from."""
    broken = 0
    for each in registry.GROUPS if group is None else (group,):
        installed = registry.components(each)
        typer.echo(each)
        for component in installed:
            line = f"  {component.name:28}{component.package}"
            if check:
                try:
                    component.load()
                except ImportError as error:
                    broken += 1
                    line += f"  {error}"
                else:
                    line += "  ok"
            typer.echo(line)
    if broken:
        raise typer.Exit(1)
