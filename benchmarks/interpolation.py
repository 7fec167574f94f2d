"""Scores of averages of the base and fine-tuned weights, at several input sizes.

    python benchmarks/interpolation.py DATA --weights isnet-general-use.onnx --out FOLDER
        [--size 640] [--epochs 1] [--seed 0] [--at 768:0.5 1024:0.5] [--held-out 100] [--scored 60]

It trains once as `dichoseg plan` proposes, on DATA/train without the pairs that are held out, at one size and without
validation, and saves the network in FOLDER. The base at its own size, and averages in which it has a share, each at an
input size, are scored on some of the pairs held out, at the masks' size. A second call scores the saved network at more
sizes and shares.
"""

import argparse
import dataclasses
import json
import random
from pathlib import Path

from finetuning import hold_out, scores

import dichoseg
from dichoseg.contracts import Model
from dichoseg.data import FolderDataset, open_folders
from dichoseg.planning.rules import with_epochs
from dichoseg.runtime.files import write_json
from dichoseg.runtime.memory import keep_memory
from dichoseg.training.base import interpolate


def draw(data: FolderDataset, pairs: int) -> FolderDataset:
    """Draw some of the pairs, always the same ones."""
    names = sorted(name for name, *_ in data.files)
    random.Random(3).shuffle(names)
    return data.without(names[pairs:]) if pairs < len(names) else data


def train(training: FolderDataset, weights: Path, size: int, epochs: int, seed: int) -> Model:
    """Fine-tune as proposed, at one size."""
    proposal = dichoseg.propose(training, weights=weights)
    recipe, _ = with_epochs(proposal.recipe, epochs, len(training))
    recipe = dataclasses.replace(recipe, size=size, base="ignore")
    model, arguments = dataclasses.replace(proposal, recipe=recipe).build()
    dichoseg.fit(model, training, seed=seed, **arguments)
    return model


def main() -> None:
    """Train if that is not done yet, and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at", nargs="+", default=["768:0.5", "1024:0.5"], metavar="SIZE:SHARE")
    parser.add_argument("--held-out", type=int, default=100, metavar="PAIRS")
    parser.add_argument("--scored", type=int, default=60, metavar="PAIRS")
    options = parser.parse_args()
    keep_memory()
    training, held_out = hold_out(open_folders(options.data)[0], options.held_out)
    scored = draw(held_out, options.scored)
    folder, table = options.out / "model", options.out / "scores.json"
    base = dichoseg.load_model(options.weights)
    if not table.exists():
        model = train(training, options.weights, options.size, options.epochs, options.seed)
        dichoseg.save_model(model, folder)
        write_json(table, {"base": scores(base, scored)})
    trained = dichoseg.load_model(folder).state_dict()
    for size, _, share in (text.partition(":") for text in options.at):
        model = dichoseg.load_model(folder, size=int(size))
        model.load_state_dict(interpolate(base.state_dict(), trained, float(share)))
        row = scores(model, scored)
        print(f"{size} pixels, {float(share):.0%} base:", row, flush=True)
        write_json(table, json.loads(table.read_text()) | {f"{size}:{share}": row})


if __name__ == "__main__":
    main()
