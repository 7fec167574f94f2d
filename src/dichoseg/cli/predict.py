"""`dichoseg predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import DeviceOption, ModelArgument


def predict(
    model: ModelArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Photographs, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks or cut-outs.")],
    cutout: Annotated[
        bool, typer.Option("--cutout", help="Write photographs with the mask as their alpha instead.")
    ] = False,
    background: Annotated[
        str | None, typer.Option(help="Put cut-outs on a colour, such as white or '#f0f0f0'.")
    ] = None,
    format: Annotated[Literal["png", "webp", "jpg"], typer.Option(help="Of the files that are written.")] = "png",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Make masks black and white at this probability.")
    ] = None,
    crop: Annotated[bool, typer.Option("--crop", help="Crop each result to the foreground.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Skip what is written already.")] = False,
    size: Annotated[
        int | None, typer.Option(min=32, help="Side of the network's input, in pixels. Default: the model's.")
    ] = None,
    device: DeviceOption = None,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="auto: bfloat16 where the machine has it natively.")
    ] = "auto",
    flips: Annotated[bool, typer.Option("--flips", help="Average with the mirrored photograph; half as fast.")] = False,
    sharpen: Annotated[
        bool, typer.Option("--sharpen", help="Look again at the borders in photographs much larger than the input.")
    ] = False,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Stretch each map to [0, 1], as the published scripts do.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of the network on a CPU (default: torch's number), and for files (one for each core, at most 8).",
        ),
    ] = None,
) -> None:
    """Write the mask of each photograph, at its size; exit code 1 if any failed."""
    import dataclasses

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
    plan = plan_files(images, out, rendering, resume=resume)  # raises what can be told before a model is loaded
    target = choose_device(device, torch.device("cpu"))
    network = load_model(model)
    if size is not None:
        network.preprocessing = dataclasses.replace(network.preprocessing, size=size)
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
            typer.echo(f"stopped; what is in {out} stays, and --resume goes on from there", err=True)
            raise typer.Exit(130) from None
    typer.echo(predicted.text())  # what failed is in the log
    if predicted.failures:
        raise typer.Exit(1)
