"""`dichoseg predict`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import tyro

from ..checking import choice
from ..weights.catalogue import DEFAULT, near_names, resolve
from .options import Device, Flag, Fraction, Number, OptionalPath, Precision, Runtime, Text, optional, tell

if TYPE_CHECKING:
    from ..inference.blending import Detail
    from ..photographs.rendering import Format


def predict(
    images: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="IMAGES...", help_behavior_hint="(required)")
    ],
    *,
    model: Text = None,
    out: OptionalPath = None,
    cutout: Flag = False,
    both: Flag = False,
    background: Text = None,
    format: Annotated[str | None, optional("{png,webp,jpg,avif,gif}")] = None,
    threshold: Fraction = None,
    crop: Flag = False,
    margin: int = 0,
    quality: Number = None,
    keep_colors: Flag = False,
    drop_exif: Flag = False,
    resume: Flag = False,
    size: Number = None,
    device: Device = None,
    precision: Precision = "auto",
    runtime: Runtime = None,
    calibration: OptionalPath = None,
    flips: Flag = False,
    detail: Annotated[str | None, optional("{blend,views,borders}")] = None,
    sharpen: Flag = False,
    normalize: Flag = False,
    threads: Number = None,
    max_pixels: Number = None,
    quiet: Flag = False,
) -> None:
    """Write the mask of each photograph, at its size; exit code 1 if any failed.

    `dichoseg predict photo.jpg` writes photo.mask.png next to the photograph, and prints its path. Processes that
    torchrun starts share the photographs.

    Args:
        images: Photographs, folders of them, or - for a photograph from standard input.
        model: Name from `dichoseg list weights`, which is downloaded on first use; saved model, run folder, hub id, or
            file of published weights. Default: isnet-general-use.
        out: Folder for the results; or, for one photograph, a file, or - for standard output. Default: next to the
            photographs.
        cutout: Write photographs with the mask as alpha channel instead.
        both: Write masks and cut-outs, as photo.mask.png and photo.cutout.png.
        background: Color behind cut-outs, such as white or '#f0f0f0', or the path of a picture.
        format: Format of the results. Default: that of the file that --out names, else png, and for animations (GIF,
            WebP, APNG) their own, with all frames.
        threshold: Make masks black and white: white for probabilities of this value or more.
        crop: Crop each result to the foreground.
        margin: Number of pixels around the foreground that --crop keeps.
        quality: Quality of jpg, avif, and cut-outs in webp, 1 to 100. Default: 95, and 90 for avif.
        keep_colors: Keep the colors of fully transparent pixels, from which the background can be restored.
        drop_exif: Leave out the photograph's EXIF, such as date and place, which cut-outs keep.
        resume: Skip existing results.
        size: Side of the network's input, in pixels. Default: the model's.
        device: Device, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        precision: auto is bfloat16 if the hardware has it natively, float16 on other CUDA GPUs with tensor cores, else
            float32. int8 needs --calibration.
        runtime: Program that runs the network. onnxruntime and openvino run on the CPU; `dichoseg benchmark` tells
            which is fastest here. Default: torch, and onnxruntime for int8.
        calibration: Folder of photographs to calibrate int8 on, 8 or more, similar to those to predict.
        flips: Average with the prediction of the mirrored photograph; takes twice as long.
        detail: Refinement of photographs much larger than the network's input: predict again at a larger size, in views
            everywhere, or in views along the borders.
        sharpen: The same as --detail borders.
        normalize: Stretch each map to [0, 1], as the published scripts do.
        threads: Number of threads, of the network on a CPU and for files. Default: torch's, and one per core up to 8.
        max_pixels: Largest number of pixels of a photograph, 16 bytes of memory each. Default: 178956970.
        quiet: Show no messages except errors; the requested output is still printed.
    """
    from ..data.formats import pixel_limit
    from ..inference import Predictor
    from ..photographs.job import PredictedFiles, write_results
    from ..photographs.naming import STREAM, chosen_format
    from ..photographs.planning import plan_files
    from ..photographs.rendering import Rendering
    from ..runtime.memory import keep_memory
    from ..runtime.threads import torch_threads
    from ..weights import load_model
    from .processes import gather, is_first, own_part, predictor_device

    keep_memory()
    model, images = _in_order(model, images)
    choice("detail", detail or "blend", ("blend", "views", "borders"))
    with torch_threads(threads), nullcontext() if max_pixels is None else pixel_limit(max_pixels):
        rendering = Rendering(
            cutout=cutout,
            both=both,
            keep_kind=format is None,
            background=background,
            format=chosen_format(out, cast("Format | None", format)),
            threshold=threshold,
            crop=crop,
            margin=margin,
            quality=quality,
            keep_colors=keep_colors,
            drop_exif=drop_exif,
            threads=threads,
        )
        plan = plan_files(images, out, rendering, resume=resume, part=own_part())  # errors before the model
        _check_terminal(images, plan.out)
        target = predictor_device(device, runtime, precision)
        network = load_model(model or resolve(DEFAULT))
        try:
            predictor = Predictor(
                network,
                device=target,
                precision=precision,
                size=size,
                flips=flips,
                detail=cast("Detail | None", detail),
                sharpen=sharpen,
                normalize="minmax" if normalize else None,
                runtime=runtime,
                calibration=calibration,
            )
            parts = gather("predicted", write_results(predictor, plan, progress=not quiet and is_first()))
        except KeyboardInterrupt:
            if is_first():
                print("stopped; finished results are kept, and --resume continues from there", file=sys.stderr)
            raise SystemExit(130) from None
    if not parts:
        return  # the first process reports for all
    predicted = PredictedFiles.merged(parts)
    if plan.out is None:
        print(*predicted.paths, sep="\n")
    elif plan.out != STREAM and not quiet:
        print(predicted.text())  # the log names the failures
    if predicted.failures:
        raise SystemExit(1)


def _in_order(model: str | None, images: tuple[Path, ...]) -> tuple[str | None, tuple[Path, ...]]:
    """Return model and photographs; with a warning if the model comes first, as before version 0.2."""
    from ..registry import has_component
    from ..weights.sources import is_model

    if not images:
        raise ValueError("wanted photographs, or folders of them, as in `dichoseg predict photo.jpg`")
    name, *photographs = map(str, images)
    if model is not None:
        return model, images
    if not is_model(name):
        if not images[0].exists() and has_component("models", name):
            raise ValueError(f"{name} is a network without weights; wanted photographs, and --model{near_names(name)}")
        return model, images
    if not photographs:
        if not images[0].exists():
            return model, images
        raise ValueError(f"{name} is a model: wanted photographs, and `--model {name}`")
    now = f"dichoseg predict {' '.join(photographs)} --model {name}"
    tell(f"warning: the model is an option since 0.2, and the former order goes in 0.4; write: {now}")
    return name, images[1:]


def _check_terminal(images: tuple[Path, ...], out: Path | None) -> None:
    """Raise a ValueError if a photograph would be read from a terminal, or written to it."""
    for path, stream, wanted in (
        (images[0], sys.stdin, "standard input is a terminal; wanted a photograph, as in `< photo.jpg`"),
        (out, sys.stdout, "standard output is a terminal; wanted a file or another program, as in `> mask.png`"),
    ):
        if str(path) == "-" and stream.isatty():
            raise ValueError(wanted)
