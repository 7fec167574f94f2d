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
    group: Annotated[
        str | None, typer.Argument(metavar="GROUP", help=", ".join(registry.GROUPS) + ". Default: all.")
    ] = None,
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
            line = f"  {name:{width}}{component.package} {component.version}".rstrip()
            if check:
                state, is_usable = _state(component)
                broken += not is_usable
                line += f"  {state}"
            typer.echo(line)
    if broken:
        typer.echo(f"{broken} cannot be used; their packages are to be mended or removed. All others work.", err=True)
        raise typer.Exit(1)


def _state(component: registry.Component) -> tuple[str, bool]:
    """What is to be said of a component, in a line, and whether it can be used."""
    try:
        component.load()
    except (ImportError, TypeError) as error:
        return " ".join(str(error).split()), False
    other_version = component.other_version()
    return (f"ok, but {other_version}" if other_version else "ok"), True
