"""`dichoseg plan`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import tyro

from .data_options import Data
from .options import Device, Flag, Fraction, as_arguments

FILE = Path("proposal.json")


def plan(
    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")],
    *,
    weights: str = "isnet-general-use",
    memory: Fraction = None,
    hours: Fraction = None,
    out: Path = FILE,
    device: Device = None,
    folders: Data = Data(),
    quiet: Flag = False,
) -> None:
    """Propose how to fine-tune weights on a data set: size, batch, epochs, learning rate and more, each with a reason.

    `dichoseg train DATA --plan FILE --out RUN` trains as proposed; further options of train replace single values.

    Args:
        data: Folder that holds im and gt, or the same below train or DIS-TR.
        weights: Weights to start from, as in `dichoseg train`.
        memory: Memory for training in GB. Default: the GPU's, or the machine's.
        hours: Longest duration of the run in hours, which limits the epochs. Default: no limit.
        out: New file for the proposal.
        device: Device, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        folders: Folders of images and masks.
        quiet: Show no messages except errors; the requested output is still printed.
    """
    from ..planning import propose
    from ..runtime.memory import keep_memory

    if out.exists():
        raise FileExistsError(f"{out} is there already; wanted a new file for the proposal")
    keep_memory()
    training, validation = folders.open(data)
    proposal = propose(
        training,
        val_data=validation,
        weights=weights,
        memory_gb=memory,
        hours=hours,
        device=device,
        progress=not quiet,
    )
    proposal.save(out)
    print(proposal)
    command = ["dichoseg", "train", str(data), "--plan", str(out), *as_arguments(folders)]
    command += [*(["--device", device] if device else []), "--out", "RUN"]
    print(f"\nproposal in {out}: {shlex.join(command)}")
