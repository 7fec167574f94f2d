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
    """List the installed components: the name to ask for each by, and the package and the version it comes from."""
    groups = {each: registry.components(each) for each in (registry.GROUPS if group is None else (group,))}
    names = {each: set(registry.list_components(each)) for each in groups}
    width = max((len(name) for each in names.values() for name in each), default=0) + 2
    broken = 0
    for each, installed in groups.items():
        typer.echo(each)
        for component in installed:
            qualified = f"{component.package}/{component.name}"
            name = qualified if qualified in names[each] else component.name
            distribution = component.entry_point.dist
            line = f"  {name:{width}}{component.package} {distribution.version if distribution else ''}".rstrip()
            if check:
                fault = _fault(component)
                broken += fault is not None
                line += f"  {fault or 'ok'}"
            typer.echo(line)
    if broken:
        typer.echo(f"{broken} cannot be used; their packages are to be mended or removed. All others work.", err=True)
        raise typer.Exit(1)


def _fault(component: registry.Component) -> str | None:
    """Why a component cannot be used, if it cannot."""
    try:
        loaded = component.load()
    except ImportError as error:
        return str(error)
    if not callable(loaded):
        return f"{component.entry_point.value} is no class and no function, but a {type(loaded).__name__}"
    return None
