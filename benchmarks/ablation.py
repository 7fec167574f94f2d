"""Ablation of five ideas, one at a time and together, against the same network without them, over several seeds.

    python benchmarks/ablation.py --out FOLDER [--data ECSSD] [--arms baseline edge ...] [--seeds 0 1 2] [--jobs 2]
    python benchmarks/ablation.py --out FOLDER --data ECSSD --network isnet --weights isnet-general-use.pth --size 384
        --steps 300

Arms:

- `baseline`: deep-supervised cross-entropy and horizontal flips.
- `edge`: `EdgeBCELoss` on the final logits, in addition to the cross-entropy.
- `edge-map`: `EdgeMapBCELoss` instead of `EdgeBCELoss`.
- `blur`: `RandomBlurPatches`.
- `deconv`: the deconv decoder.
- `deconv-nonlinear`: the deconv decoder with batch norm and ReLU after each of its steps.
- `gt-encoder`: features supervised by a GT encoder, which is trained first, for at most 10 epochs.
- `flips`: the flips and quarter turns of "dis_tuning".
- `all`: edge, blur, deconv, gt-encoder and flips.
- `all-but-deconv`: `all` without deconv.
- `published`, only with `--weights`: the unchanged weights. Arms with a deconv decoder are then left out, because the
  weights do not cover its layers.

`--data` holds train and val, each with im and gt. Without it, synthetic scenes are used. All arms take the same number
of optimizer steps, in whole epochs and without those of the GT encoder, on the same images in the same order. Arms with
the same seed start from the same encoder. The last weights are scored, at the size of the masks; no score selects
anything. The seconds cover only training. Compare them only between runs on one machine with the same number of jobs.

Each run is a separate process and writes a JSON file to the folder. Finished runs are skipped and stopped runs are
resumed; arms and seeds may be added later. At the end, `benchmarks/ablation_table.py` makes the table and the plot of
all runs in the folder. It needs SciPy.

On two cores with AMX, with two runs at a time on ECSSD's 700 images at 128 pixels, 2640 steps took 13 minutes with a
deconv decoder or with a GT encoder and its training. From IS-Net's published weights, 350 steps of four images at 384
pixels took 10 minutes, and 18 with a GT encoder.
"""

import argparse
import csv
import dataclasses
import importlib.metadata
import json
import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from ablation_table import ARMS, PUBLISHED, RESULTS, summarise
from finetuning import calibrate
from torch.utils.data import Subset

import dichoseg
from dichoseg.augmentations import Compose, RandomBlurPatches, gpu_augmentation
from dichoseg.contracts import Augmentation, Model, Objective, Samples
from dichoseg.data import open_folders
from dichoseg.decoders import DeconvDecoder, RSUDecoder
from dichoseg.encoders import RSUEncoder
from dichoseg.losses import BCELoss, EdgeBCELoss, EdgeMapBCELoss
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum
from dichoseg.runtime.device import uses_bfloat16
from dichoseg.runtime.files import write_json
from dichoseg.runtime.memory import keep_memory
from dichoseg.training import fit_gt_encoder
from dichoseg.training.run_folder import GT_ENCODER, STATE
from dichoseg.weights import load_weights

SMALL_WIDTHS: dict[str, tuple[int, ...]] = {"channels": (64,) * 6, "mid_channels": (16,) * 6}
"""Widths of U²-Net's small network, after IS-Net's strided convolution."""
TURNS = {"vertical_flip": 0.8, "rotate90": 0.8}
"""Flips and turns of "dis_tuning", in addition to the horizontal flips of "isnet"."""
GT_ENCODER_EPOCHS = 10
METRICS = ("paper", "boundary_iou", "mba")
OF_THE_STUDY = ("data", "scenes", "network", "weights", "size", "steps", "batch_size", "learning_rate", "edge_weight")


def main() -> None:
    """Start the missing runs, several at a time, and print the table."""
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    check_settings(options)
    if options.run is not None:
        run(options, options.run[0], int(options.run[1]))
        return
    waiting = [(arm, seed) for seed in options.seeds for arm in options.arms]
    waiting = [(arm, seed) for arm, seed in waiting if not result_file(options, arm, seed).exists()]
    processes: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, interrupt)
    failed = False
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(in_its_own_process, options, *one, processes): one for one in waiting}
        try:
            for count, future in enumerate(as_completed(futures), start=1):
                (arm, seed), code = futures[future], future.result()
                failed |= code != 0
                state = f"failed; see {log_file(options, arm, seed)}" if code else "done"
                print(f"{count}/{len(waiting)}: {arm}, seed {seed}: {state}", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()  # it ends its step and saves; a second signal would stop it at once
            raise SystemExit("stopped; run the same command again to continue") from None
    if any(options.out.glob(RESULTS)):
        print(summarise(options.out))
    if failed:
        raise SystemExit(1)


def parse() -> argparse.Namespace:
    """Parse and check the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--data", type=Path, help="folder with train and val, such as ECSSD's")
    parser.add_argument(
        "--scenes", type=int, default=700, help="number of synthetic training scenes; a seventh as many are scored"
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS, metavar="ARM", help=f"default: all of {', '.join(ARMS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--network", choices=("small", "isnet"), default="small", help="IS-Net, or a small one")
    parser.add_argument("--weights", type=Path, help="published weights to start from, with --network isnet")
    parser.add_argument("--size", type=int, default=128, help="side of the network's input, in pixels")
    parser.add_argument("--steps", type=int, default=2640, help="optimizer steps, rounded up to whole epochs")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, help="default: 1e-3, or 3e-5 with --weights")
    parser.add_argument("--edge-weight", type=float, default=0.5, help="weight of either edge loss")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run")
    parser.add_argument("--workers", type=int, default=0, help="processes of each run that load images")
    parser.add_argument("--device", help="default: a GPU if available")
    parser.add_argument("--run", nargs=2, metavar=("ARM", "SEED"), help="only this run, in this process")
    options = parser.parse_args()
    possible = [arm for arm, ideas in ARMS.items() if arm_allowed(arm, ideas, options.weights)]
    options.arms = options.arms or possible
    options.learning_rate = options.learning_rate or (1e-3 if options.weights is None else 3e-5)
    asked = options.arms if options.run is None else options.run[:1]
    if unfit := [arm for arm in asked if arm not in possible]:
        with_or_without = "without" if options.weights is None else "with"
        parser.error(f"no {', '.join(unfit)} {with_or_without} --weights; there are {', '.join(possible)}")
    if options.weights is not None and options.network != "isnet":
        parser.error("--weights are those of IS-Net: give --network isnet")
    return options


def arm_allowed(arm: str, ideas: Sequence[str], weights: Path | None) -> bool:
    """Return whether an arm is possible with these weights, or without any."""
    if weights is None:
        return arm != PUBLISHED
    return not any(idea.startswith("deconv") for idea in ideas)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM like Ctrl-C."""
    raise KeyboardInterrupt


def in_its_own_process(
    options: argparse.Namespace, arm: str, seed: int, processes: list[subprocess.Popen[bytes]]
) -> int:
    """Run one arm and seed in a process of its own, with its output in a log; return its exit status."""
    command = [sys.executable, __file__, *sys.argv[1:], "--run", arm, str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    with log_file(options, arm, seed).open("ab") as log:
        # in a group of its own, or Ctrl-C would reach it in addition to the signal that asks it to save
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, process_group=0)
        processes.append(process)
        return process.wait()


def result_file(options: argparse.Namespace, arm: str, seed: int) -> Path:
    """Return the path of the results of a run."""
    out: Path = options.out
    return out / f"{arm}-{seed}.json"


def log_file(options: argparse.Namespace, arm: str, seed: int) -> Path:
    """Return the path of the log of a run."""
    return result_file(options, arm, seed).with_suffix(".log")


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that all runs of a study share."""
    values = {name: getattr(options, name) for name in OF_THE_STUDY}
    return {name: value.name if isinstance(value, Path) else value for name, value in values.items()}


def check_settings(options: argparse.Namespace) -> None:
    """Write the settings to the folder, or compare them with those of its earlier runs."""
    path = options.out / "settings.json"
    if not path.exists():
        write_json(path, settings(options))
    before = json.loads(path.read_text(encoding="utf-8"))
    for name, value in settings(options).items():
        if before[name] != value:
            raise SystemExit(f"{options.out} holds runs with {name} {before[name]}, not {value}; use another folder")


def run(options: argparse.Namespace, arm: str, seed: int) -> None:
    """Train and score one network, and write the results."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    keep_memory()  # as dichoseg train does
    train_data, val_data = open_data(options)
    ideas = ARMS[arm]
    torch.manual_seed(seed)
    model = make_network(options, ideas, train_data)
    result: dict[str, Any] = {
        "arm": arm,
        "seed": seed,
        "settings": settings(options),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": 0,
        "seconds": 0.0,
        "gt_encoder_seconds": 0.0,
    }
    folder = options.out / "runs" / f"{arm}-{seed}"
    if arm != PUBLISHED:
        steps_an_epoch = math.ceil(len(train_data) / options.batch_size)
        epochs = math.ceil(options.steps / steps_an_epoch)
        common: dict[str, Any] = {
            "epochs": epochs,
            "batch_size": options.batch_size,
            "workers": options.workers,
            "device": options.device,
            "seed": seed,
            "resume": True,
        }
        objective = make_objective(options, ideas, model, train_data, folder, common)
        history = dichoseg.fit(
            model,
            train_data,
            objective=objective,
            augmentation=make_augmentation(ideas),
            optimization=dichoseg.Optimization(learning_rate=options.learning_rate),
            out=folder,
            **common,
        )
        if len(history) < epochs:
            raise SystemExit("stopped; run the same command again to continue")
        result["steps"] = epochs * steps_an_epoch
        result["loss"] = history[-1]["loss"]
        result["seconds"] = sum(len(train_data) / row["images_per_second"] for row in history)
        if "gt-encoder" in ideas:
            result |= of_gt_encoder(folder)
    result["scores"] = dichoseg.evaluate(model, val_data, metrics=METRICS)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    result["precision"] = "bfloat16" if uses_bfloat16("auto", device) else "float32"
    result["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    result["versions"] = {"dichoseg": importlib.metadata.version("dichoseg"), "torch": torch.__version__}
    write_json(result_file(options, arm, seed), result)
    for state in folder.rglob(STATE):
        state.unlink()  # three times the size of the weights, and no longer needed


def open_data(options: argparse.Namespace) -> tuple[Samples, Samples]:
    """Open the training set and the validation set."""
    if options.data is None:
        scored = max(options.scenes // 7, 1)
        return dichoseg.SyntheticDataset(options.scenes, seed=1), dichoseg.SyntheticDataset(scored, seed=2)
    train_data, val_data = open_folders(options.data)
    if val_data is None:
        raise SystemExit(f"{options.data} has a train folder but no val folder")
    return train_data, val_data


def make_network(options: argparse.Namespace, ideas: Sequence[str], train_data: Samples) -> Model:
    """Create the network of an arm; its encoder is initialized first, so that all arms of a seed share it."""
    widths = SMALL_WIDTHS if options.network == "small" else {}
    encoder = RSUEncoder(**widths)
    decoder = RSUDecoder(encoder.feature_info, **{name: values[1:] for name, values in widths.items()})
    preprocessing = dichoseg.Preprocessing(size=options.size, antialias=False, to_uint8=True)  # IS-Net's
    deconv = [idea for idea in ideas if idea.startswith("deconv")]
    if deconv:
        enlarging = DeconvDecoder(encoder.feature_info, nonlinear=deconv == ["deconv-nonlinear"], decoder=decoder)
        return dichoseg.Segmenter(encoder, enlarging, preprocessing=preprocessing)
    model = dichoseg.Segmenter(encoder, decoder, preprocessing=preprocessing)
    if options.weights is not None:
        load_weights(model, options.weights)
        model.preprocessing = dataclasses.replace(model.preprocessing, size=options.size)
        calibrate(model, train_data)
    return model


def make_augmentation(ideas: Sequence[str]) -> Augmentation:
    """Create the augmentation of an arm: the flips and its additions."""
    flips = gpu_augmentation("isnet", **(TURNS if "flips" in ideas else {}))
    return Compose(flips, RandomBlurPatches()) if "blur" in ideas else flips


def make_objective(
    options: argparse.Namespace,
    ideas: Sequence[str],
    model: Model,
    train_data: Samples,
    folder: Path,
    common: dict[str, Any],
) -> Objective:
    """Create the objective of an arm: cross-entropy on all maps and its additions; train a GT encoder if needed."""
    parts: dict[str, tuple[float, Objective]] = {"bce": (1.0, DeepSupervision(BCELoss()))}
    for idea, loss in (("edge", EdgeBCELoss), ("edge-map", EdgeMapBCELoss)):
        if idea in ideas:
            parts["edge"] = (options.edge_weight, DeepSupervision(loss(), side_weight=0.0))
    if "gt-encoder" in ideas:
        few = Subset(train_data, range(min(100, len(train_data))))  # their masks say when it is enough
        limited = {**common, "epochs": min(GT_ENCODER_EPOCHS, common["epochs"])}
        gt_encoder = fit_gt_encoder(model, train_data, val_data=few, out=folder, **limited)
        parts["features"] = (1.0, IntermediateSupervision(gt_encoder))
    return WeightedSum(**parts)


def of_gt_encoder(folder: Path) -> dict[str, float]:
    """Return the training time of the GT encoder of a run, and the score of its reconstructed masks."""
    with (folder / GT_ENCODER / "run" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    seconds = sum(float(row["seconds"]) for row in rows)
    best = max(float(row["quick_max_f"]) for row in rows)
    return {"gt_encoder_seconds": seconds, "gt_encoder_epochs": len(rows), "gt_encoder_max_f": best}


if __name__ == "__main__":
    main()
