"""What `dichoseg train` was started with, kept in the run's folder, so that `--resume` needs the folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

OF_NO_CONSEQUENCE = {
    "workers",
    "device",
    "check_data",
    "compile",
    "checkpoint_activations",
    "tensorboard",
    "data",
    "val",
}
"""Options that may differ when a run goes on; what is in the data is compared by itself."""


def write_command(out: Path, command: dict[str, Any]) -> None:
    """Leave in a run's folder what it was started with, for `--resume`."""
    from ..runtime.files import write_json
    from ..training.run_folder import COMMAND

    out.mkdir(parents=True, exist_ok=True)
    write_json(out / COMMAND, _plain(command))


def command_of(run: Path, context: typer.Context) -> dict[str, Any]:
    """What a run was started with."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name != "resume" and source is not None and source.name == "COMMANDLINE":
            raise ValueError(
                f"--resume takes everything from the run, but --{name.replace('_', '-')} was given too; give --resume "
                "alone, or the whole command"
            )
    command = _read_command(run, context)
    for name in ("data", "val", "weights"):  # which are paths
        command[name] = command.get(name) and Path(command[name])
    return command


def _read_command(run: Path, context: typer.Context) -> dict[str, Any]:
    import json

    from ..training.run_folder import COMMAND

    try:
        command = json.loads((run / COMMAND).read_text(encoding="utf-8"))
        if not (isinstance(command, dict) and command.get("data")):
            raise ValueError("it names no data")
    except FileNotFoundError:
        raise FileNotFoundError(f"no run of `dichoseg train` in {run}: it has no {COMMAND}") from None
    except ValueError as error:
        raise ValueError(f"{run / COMMAND} cannot be read: {error}") from error
    known = command.keys() & context.params.keys()
    if command.keys() - known:
        raise ValueError(
            f"{run / COMMAND} holds options that this dichoseg does not know: {', '.join(command.keys() - known)}"
        )
    return command


def check_same(command: dict[str, Any], run: Path, context: typer.Context) -> None:
    """Refuse to go on with a run whose command was another one, in what it is trained with."""
    from ..training.run_folder import COMMAND

    if not (run / COMMAND).exists():
        return
    before = _read_command(run, context)
    for name, value in _plain(command).items():
        if name in before and name not in OF_NO_CONSEQUENCE and before[name] != value:
            raise ValueError(
                f"{run} cannot go on: --{name.replace('_', '-')} was {before[name]}, and is {value} now. A resumed run "
                "is the same run; to train on from its weights, start another one with --weights"
            )


def _plain(command: dict[str, Any]) -> dict[str, Any]:
    """A command as it is noted: paths whole, so that it can be resumed from anywhere."""
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in command.items()}
