"""`dichoseg benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from .options import Device, Flag, ModelArgument, Number, OptionalPath


def benchmark(
    model: ModelArgument,
    photographs: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="[PHOTOGRAPHS...]", help_behavior_hint="")
    ] = (),
    *,
    size: Number = None,
    repeat: int = 3,
    threads: Number = None,
    device: Device = None,
    calibration: OptionalPath = None,
    json: Flag = False,
) -> None:
    """Time a model in each runtime and precision of this machine, and say which to use.

    Each runs in a process of its own. Photographs are read before, and no results are written.

    Args:
        model: Saved model, run folder, hub id, or published weights, by name or as a file.
        photographs: Photographs, or folders, of which eight photographs each are used. Default: three synthetic scenes.
        size: Side of the network's input, in pixels. Default: the model's.
        repeat: Number of times that each photograph is predicted, after the first one once.
        threads: Number of threads on a CPU. Default: torch's.
        device: Device of torch, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        calibration: Folder of photographs to calibrate 8 bits on, to measure them too.
        json: Print the measurements as JSON.
    """
    from json import dumps

    from ..export.runtimes import EXTRAS, installed_runtimes
    from ..inference import benchmark as measure

    result = measure(
        model, photographs, size=size, repeat=repeat, threads=threads, device=device, calibration=calibration
    )
    if json:
        print(dumps(result.to_dict(), indent=2))
        return
    print(result.text())
    best = result.best
    print(
        f"use --runtime {best.runtime} --precision {best.precision}: {best.latency:.2f} s a photograph, "
        f"{result.speedup(best):.1f} times as fast as torch in float32"
    )
    missing = [f"'dichoseg[{EXTRAS[runtime]}]'" for runtime in EXTRAS if runtime not in installed_runtimes()]
    if missing:
        print(f"not installed, so not measured: pip install {' '.join(missing)}")
