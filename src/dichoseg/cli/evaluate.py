"""`dichoseg evaluate`."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from .options import Device, Flag, Number, OptionalPath, Precision, Repeatable, Runtime, Values


def evaluate(
    sources: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="PREDICTIONS... MASKS | MODEL... DATA", help_behavior_hint="(required)"),
    ],
    *,
    out: OptionalPath = None,
    mask_suffix: str = "",
    prediction_suffix: str = "",
    foreground: Values = (),
    ignore: Values = (),
    metrics: Repeatable = (),
    protocol: Literal["pysodmetrics", "dis"] = "pysodmetrics",
    normalize: bool = True,
    allow_missing: Flag = False,
    skeletons: OptionalPath = None,
    workers: Number = None,
    worst: Number = None,
    size: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT...", help_behavior_hint="")] = (),
    device: Device = None,
    precision: Precision = "float32",
    runtime: Runtime = None,
    calibration: OptionalPath = None,
    quiet: Flag = False,
) -> None:
    """Score predictions or models against masks, with the metrics that papers report.

    Processes that torchrun starts share the photographs that models predict.

    Args:
        sources: Folders of predictions, then the folder of masks. Or models (a run, a saved model, a file of weights, a
            name from `dichoseg list weights`), then the data to predict: a folder that holds im and gt, or a
            validation set.
        out: Folder for scores.json, per_image.csv, curves.png and extremes.jpg.
        mask_suffix: Suffix of the masks' names, such as _mask if 1_mask.png is the mask of 1.png.
        prediction_suffix: Suffix of the predictions' names, such as _mask.
        foreground: Label id or color that is foreground, such as 1 or red, if masks hold ids or colors; repeatable.
        ignore: Label id or color of ignored pixels, such as 255 in masks of ids, or 128 in trimaps; repeatable.
        metrics: Names of metrics, or the groups fast, paper and all, separated by commas; repeatable. Default: paper.
        protocol: Evaluation protocol: PySODMetrics, as in papers, or that of the DIS repository.
        normalize: Stretch each prediction to [0, 1] first, as papers do.
        allow_missing: Score the images that have both a prediction and a mask.
        skeletons: Folder that caches the masks' skeletons. Default: the user's cache.
        workers: Number of processes that score. Default: one per core.
        worst: Number of images in worst.jpg, for each model or folder, ranked by the first of --metrics; worst.csv
            lists all images. Both are written to --out.
        size: Side of a model's input, in pixels. Several, such as 384 512 768, give a row of scores each. Pass it after
            the sources. Default: the model's.
        device: Device of a model, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        precision: Precision of a model, as in `dichoseg predict`.
        runtime: Program that runs a model's network, as in `dichoseg predict`.
        calibration: Folder of photographs to calibrate int8 on, as in `dichoseg predict`.
        quiet: Show no messages except errors; the requested output is still printed.
    """
    import os

    if len(sources) < 2:
        raise ValueError(
            "wanted one or more folders of predictions, then the folder of masks, or models, then the data; "
            f"got {len(sources)} folders"
        )
    from ..checking import whole
    from ..data.mask_files import check_values
    from ..evaluation import compare_folders
    from ..evaluation.skeletons import default_cache
    from ..metrics import Evaluator
    from .processes import is_first

    if len({*size}) < len(size):
        raise ValueError(f"--size needs different sizes; got {' '.join(map(str, size))}")
    if worst is not None and out is None:
        raise ValueError("--worst needs --out, the folder for worst.jpg and worst.csv")
    rows = None if worst is None else whole("worst", worst, least=1)
    *predictions, masks = sources
    names = [folder.absolute().name for folder in predictions]  # that of `.` too
    called = {
        name if names.count(name) == 1 else str(folder): folder for name, folder in zip(names, predictions, strict=True)
    }
    if skeletons is not None:
        skeletons.mkdir(parents=True, exist_ok=True)
    measured = [name.strip() for text in metrics for name in text.split(",")] or ["paper"]
    workers = (os.cpu_count() or 1) if workers is None else whole("workers", workers)
    Evaluator(metrics=measured, protocol=protocol, normalize=normalize)  # errors that need no prediction come first
    check_values("foreground", foreground)
    check_values("ignore", ignore)
    how: dict[str, Any] = {"sizes": size, "device": device, "precision": precision, "runtime": runtime}
    how |= {"calibration": calibration, "mask_suffix": mask_suffix, "allow_missing": allow_missing}
    with _predicted(called, masks, out, progress=not quiet and is_first(), **how) as (folders, images, gt):
        if not is_first():
            return  # the predictions are shared, and the first process scores them
        comparison = compare_folders(
            folders,
            gt,
            mask_suffix=mask_suffix,
            prediction_suffix=prediction_suffix,
            foreground=foreground or None,
            ignore=ignore,
            metrics=measured,
            protocol=protocol,
            normalize=normalize,
            allow_missing=allow_missing,
            skeletons=skeletons or default_cache(),
            workers=workers,
            progress=not quiet,
        )
        print(comparison.text())
        if out is not None:
            comparison.write(out)
            if rows is not None:
                comparison.write_worst(out, rows=rows, images=images)
    if out is not None and not quiet:
        print(f"written to {out}")


@contextmanager
def _predicted(
    sources: Mapping[str, Path],
    data: Path,
    out: Path | None,
    *,
    sizes: Sequence[int],
    mask_suffix: str,
    allow_missing: bool,
    **how: Any,
) -> Iterator[tuple[Mapping[str, Path], Path | None, Path]]:
    """Return folders of predictions, that of the images if known, and that of the masks; models predict first."""
    from ..data.layouts import folders_to_score
    from ..evaluation.folders import check_images
    from ..weights.sources import is_model
    from .processes import is_first

    models = {name: source for name, source in sources.items() if is_model(str(source))}
    if not models:
        if sizes:
            raise ValueError(f"--size is for models; got folders of predictions: {', '.join(sources)}")
        yield sources, None, data
        return
    if len(models) < len(sources):
        raise ValueError(
            f"wanted models, then the data, or folders of predictions, then the masks; {', '.join(models)} are models, "
            f"and {', '.join(sources.keys() - models.keys())} are not"
        )
    images, masks = folders_to_score(data)
    check_images(images, masks, mask_suffix=mask_suffix, allow_missing=allow_missing)
    if is_first():
        print(f"images: {images}")
    with _shared_folder(out) as folder:
        folders: dict[str, Path] = {}
        for index, (name, model) in enumerate(models.items()):
            by_size = _predict(model, images, folder / str(index), sizes=sizes or (None,), **how)
            folders |= {name if len(sizes) < 2 else f"{name} at {size}": part for size, part in by_size.items()}
        yield folders, images, masks


@contextmanager
def _shared_folder(out: Path | None) -> Iterator[Path]:
    """Give all processes the first one's temporary folder: in `out`, where processes on several machines find it."""
    from .processes import from_first, is_first, own_part

    home = out if own_part()[1] > 1 else None
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
    if is_first():
        with tempfile.TemporaryDirectory(prefix=".", dir=home) as name:
            yield Path(from_first("folder", str(Path(name).absolute())))
        return
    folder = Path(from_first("folder", ""))
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder} on this machine; wanted an --out that all machines share")
    yield folder


def _predict(
    model: Path,
    images: Path,
    out: Path,
    *,
    sizes: Sequence[int | None],
    device: str | None,
    precision: Precision,
    runtime: Runtime,
    calibration: Path | None,
    progress: bool,
) -> dict[int | None, Path]:
    """Write the masks that a model predicts at each size of its input; return the folders; processes share them."""
    import torch

    from ..evaluation.scoring import warn_of_seen_test_sets
    from ..inference import Predictor
    from ..photographs import predict_files
    from ..runtime.inputs import SMALL
    from ..weights import load_model
    from .processes import gather, own_part, predictor_device

    target = predictor_device(device, runtime, precision)
    network = load_model(model)
    warn_of_seen_test_sets(network)
    prepare = functools.partial(
        Predictor, network, device=target, precision=precision, runtime=runtime, calibration=calibration
    )
    smallest = min(size or SMALL for size in sizes)
    if smallest < SMALL:  # an error before any photograph is predicted
        prepare(size=smallest)(torch.zeros(network.preprocessing.channels, smallest, smallest))
    folders = {size: out / str(size) for size in sizes}
    for size, folder in folders.items():
        predicted = predict_files(prepare(size=size), [images], folder, part=own_part(), progress=progress)
        failures = [message for part in gather(f"{out.name} {size}", predicted) for message in part.failures]
        if failures:
            raise ValueError(f"{len(failures)} photographs cannot be predicted: {failures[0]}")
    return folders
