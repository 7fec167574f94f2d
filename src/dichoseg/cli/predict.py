"""`dichoseg predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .options import Device, Flag, Fraction, ModelArgument, Number, Text


def predict(
    model: ModelArgument,
    images: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="IMAGES...", help_behavior_hint="(required)")
    ],
    *,
    out: Path,
    cutout: Flag = False,
    background: Text = None,
    format: Literal["png", "webp", "jpg"] = "png",
    threshold: Fraction = None,
    crop: Flag = False,
    resume: Flag = False,
    size: Number = None,
    device: Device = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    flips: Flag = False,
    sharpen: Flag = False,
    normalize: Flag = False,
    threads: Number = None,
) -> None:
    """Write the mask of each photograph, at its size; exit code 1 if any failed.

    Args:
        model: Saved model, run folder, hub id, or file of published weights.
        images: Photographs, or folders of them.
        out: Folder for the masks or cut-outs.
        cutout: Write photographs with the mask as alpha channel instead.
        background: Color behind cut-outs, such as white or '#f0f0f0'.
        format: Format of the results.
        threshold: Probability from which on masks are white, and black below.
        crop: Crop each result to the foreground.
        resume: Skip existing results.
        size: Side of the network's input, in pixels. Default: the model's.
        device: Device, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        precision: auto is bfloat16 if the hardware has it natively, else float32.
        flips: Average with the prediction of the mirrored photograph; takes twice as long.
        sharpen: Predict again along the borders in photographs much larger than the input.
        normalize: Stretch each map to [0, 1], as the published scripts do.
        threads: Number of threads, of the network on a CPU and for files. Default: torch's, and one per core up to 8.
    """
    import torch

    from ..inference import Predictor
    from ..photographs.job import write_results
    from ..photographs.planning import plan_files
    from ..photographs.rendering import Rendering
    from ..runtime.device import choose_device
    from ..runtime.memory import keep_memory
    from ..runtime.threads import torch_threads
    from ..weights import load_model

    keep_memory()
    rendering = Rendering(
        cutout=cutout, background=background, format=format, threshold=threshold, crop=crop, threads=threads
    )
    plan = plan_files(images, out, rendering, resume=resume)  # errors that need no model come first
    target = choose_device(device, torch.device("cpu"))
    network = load_model(model, size=size)
    with torch_threads(threads):
        try:
            predictor = Predictor(
                network,
                device=target,
                precision=precision,
                flips=flips,
                sharpen=sharpen,
                normalize="minmax" if normalize else None,
            )
            predicted = write_results(predictor, plan)
        except KeyboardInterrupt:
            print(f"stopped; the results in {out} are kept, and --resume continues from there", file=sys.stderr)
            raise SystemExit(130) from None
    print(predicted.text())  # the log names the failures
    if predicted.failures:
        raise SystemExit(1)
