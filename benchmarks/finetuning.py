"""Gain of proposed fine-tuning runs over the weights that they start from, by the number of training pairs.

    python benchmarks/finetuning.py DATA --weights isnet-general-use.onnx --out FOLDER
        [--pairs 25 100 700] [--seeds 0 1 2] [--hours 1.5] [--set size=512 epochs=4] [--warmup 30] [--held-out 100]
        [--resize-masks]

For each number of pairs and each seed, it draws a random part of DATA/train, makes a proposal for it (`dichoseg
plan`), trains as proposed, with a part of those pairs as validation set, and scores the best weights on DATA/val, at
the masks' size. The base is scored there at its own input size and at the run's. `--set` replaces values of the
proposal, and `--warmup` adds steps in which the learning rate rises. No score on DATA/val selects anything: to compare
recipes, `--held-out` scores on that many pairs of DATA/train instead of DATA/val, the same ones for every seed.

Every run writes a JSON file to FOLDER, and finished runs are skipped. The table shows the gain over the base at its own
size: the mean over seeds, the worst seed, and the number of times that the base itself was kept.
"""

import argparse
import ast
import dataclasses
import functools
import json
import random
import statistics
from pathlib import Path
from typing import Any

import torch

import dichoseg
from dichoseg.contracts import Model, Samples
from dichoseg.data import FolderDataset, open_folders
from dichoseg.runtime.files import write_json
from dichoseg.runtime.memory import keep_memory
from dichoseg.training import calibrate_batch_norm, cosine, is_uncalibrated
from dichoseg.training.selection import DEFAULT_BEST, best_epoch

METRICS = ("max_f", "mae", "mba")
CALIBRATION = 16
"""Number of training images that batch norms are calibrated on, if they are not frozen."""


def hold_out(training: FolderDataset, pairs: int) -> tuple[FolderDataset, FolderDataset]:
    """Split a training set into a part to train on and a number of pairs to score."""
    names = sorted(name for name, *_ in training.files)
    random.Random(7).shuffle(names)
    return training.without(names[-pairs:]), training.without(names[:-pairs])


def scores(model: Model, data: FolderDataset) -> dict[str, float]:
    """Score a model."""
    return dict(dichoseg.evaluate(model, data, metrics=METRICS, progress=True))


def calibrate(model: Model, data: Samples) -> None:
    """Calibrate batch norms that were folded away, on the first images."""
    if is_uncalibrated(model):
        images = (data[index][0] for index in range(min(CALIBRATION, len(data))))
        inputs = [model.preprocessing.normalize(model.preprocessing.resize(image[None])) for image in images]
        calibrate_batch_norm(model, torch.cat(inputs))


def run(
    training: FolderDataset,
    validation: FolderDataset,
    weights: Path,
    seed: int,
    hours: float | None,
    warmup: int,
    changes: dict[str, Any],
) -> Any:
    """Fine-tune on some pairs, and score base and result."""
    proposal = dichoseg.propose(training, weights=weights, hours=hours)
    proposal = dataclasses.replace(proposal, recipe=dataclasses.replace(proposal.recipe, **changes))
    print(proposal)
    model, arguments = proposal.build()
    schedule = functools.partial(cosine, warmup=warmup)
    arguments["optimization"] = dataclasses.replace(arguments["optimization"], schedule=schedule)
    part, own_validation = training.split(proposal.recipe.val_fraction or 0.1, seed=seed)
    is_own_size = model.preprocessing == dichoseg.load_model(weights).preprocessing
    base = {} if is_own_size else {"run's size": scores(model, validation)}
    calibrate(model, part)
    history = dichoseg.fit(model, part, val_data=own_validation, seed=seed, **arguments)
    kept = "base" if history.base_share == 0 and best_epoch(history, DEFAULT_BEST) == 0 else ""
    return {
        "recipe": dataclasses.asdict(proposal.recipe),
        "warmup": warmup,
        "base": base,
        "tuned": scores(model, validation),
        "kept": kept or (f"{history.base_share:.0%} base" if history.base_share else "an epoch"),
        "seconds": sum(row["seconds"] for row in history),
        "history": list(history),
        "averages": history.averages,
    }


def main() -> None:
    """Start the missing runs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, nargs="+", default=[10, 25, 50, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--hours", type=float)
    parser.add_argument("--warmup", type=int, default=0, metavar="STEPS")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE")
    parser.add_argument("--held-out", type=int, metavar="PAIRS")
    parser.add_argument("--resize-masks", action="store_true")
    options = parser.parse_args()
    keep_memory()
    changes = {name: ast.literal_eval(value) for name, _, value in (item.partition("=") for item in options.set)}
    training, validation = open_folders(options.data, resize_masks=options.resize_masks)
    if options.held_out:
        training, validation = hold_out(training, options.held_out)
    assert validation is not None
    path = options.out / "base.json"
    if not path.exists():
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(path, scores(dichoseg.load_model(options.weights), validation))
    base = json.loads(path.read_text())
    print("base at its own size:", base)
    for pairs in options.pairs:
        gains: dict[str, list[float]] = {metric: [] for metric in METRICS}
        kept: list[str] = []
        for seed in options.seeds:
            path = options.out / f"{pairs}-{seed}.json"
            if not path.exists():
                names = [name for name, *_ in training.files]
                leaving = random.Random(seed).sample(names, len(names) - pairs)
                some = training.without(leaving) if leaving else training
                write_json(path, run(some, validation, options.weights, seed, options.hours, options.warmup, changes))
            result = json.loads(path.read_text())
            kept.append(result["kept"])
            for metric in METRICS:
                gains[metric].append(result["tuned"][metric] - base[metric])
        for metric in METRICS:
            worst = max(gains[metric]) if metric == "mae" else min(gains[metric])
            print(f"{pairs:5} pairs  {metric:6} mean {statistics.mean(gains[metric]):+.4f}, worst seed {worst:+.4f}")
        print(f"{pairs:5} pairs  kept: {', '.join(kept)}", flush=True)


if __name__ == "__main__":
    main()
