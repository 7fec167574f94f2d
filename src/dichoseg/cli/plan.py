"""`dichoseg plan`, and `dichoseg train --plan`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from .data_options import Data
from .options import Device, Fraction

FILE = Path("proposal.json")


def plan(
    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")],
    *,
    weights: str = "isnet-general-use",
    memory: Fraction = None,
    out: Path = FILE,
    device: Device = None,
    folders: Data = Data(),
    quiet: bool = False,
) -> None:
    """Propose how to fine-tune weights on a data set: size, batch, epochs, learning rate and more, each with a reason.

    `dichoseg train DATA --plan FILE --out RUN` trains as proposed; further options of train replace single values.

    Args:
        data: Folder that holds im and gt, or the same below train or DIS-TR.
        weights: Weights to start from, as in `dichoseg train`.
        memory: Memory for training in GB. Default: the GPU's, or the machine's.
        out: New file for the proposal.
        device: Device, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        folders: Folders of images and masks.
        quiet: Show errors only, besides what the command is asked for.
    """
    from ..planning import propose
    from ..runtime.memory import keep_memory

    if out.exists():
        raise FileExistsError(f"{out} is there already; wanted a new file for the proposal")
    keep_memory()
    training, validation = folders.open(data)
    proposal = propose(
        training, val_data=validation, weights=weights, memory_gb=memory, device=device, progress=not quiet
    )
    proposal.save(out)
    print(proposal)
    print(f"\nproposal in {out}: dichoseg train {data} --plan {out} --out RUN")


def with_proposal(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `dichoseg train`, with the values of --plan as options that are not given themselves."""
    from ..planning import Proposal

    given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    path = next((value for value in map(_file_of, arguments, [*arguments[1:], ""]) if value), None)
    if path is None:
        return [*arguments]
    proposal = Proposal.load(path)
    values = {"weights": proposal.weights, **dataclasses.asdict(proposal.recipe)}
    options: list[str] = []
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if option in given or value in (None, False, ()):
            continue
        items = value if isinstance(value, tuple | list) else (value,)
        options += [option if item is True else f"{option}={item}" for item in items]
    return [*arguments, *options]


def _file_of(argument: str, following: str) -> str:
    """Return the file of --plan, if an argument is that option."""
    option, equals, value = argument.partition("=")
    return "" if option != "--plan" else value if equals else following
