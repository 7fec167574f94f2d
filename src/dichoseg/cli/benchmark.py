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
    """Measure a model in each runtime and precision that work on this machine, and recommend one.

    Each one runs in a separate process. Reading photographs and writing results is not timed.

    Args:
        model: Saved model, run folder, hub id, or published weights, by name or as a file.
        photographs: Photographs or folders; at most eight photographs of each folder are used. Default:
            three synthetic scenes.
        size: Side of the network's input, in pixels. Default: the model's.
        repeat: Number of predictions of each photograph, after one of the first as warm-up.
        threads: Number of threads on a CPU. Default: torch's.
        device: Device of torch, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        calibration: Folder of photographs to calibrate int8 on; with it, int8 is measured too.
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
