"""Scores of several moving averages of the weights of one fine-tuning run.

    python benchmarks/averages.py DATA --weights isnet-general-use.onnx --out FILE.json
        [--size 256] [--epochs 3] [--seed 1] [--decays 0.9 0.95 0.98 0.99 0.995] [--held-out 100]

It trains once as `dichoseg plan` proposes, at a given size and for some epochs, and averages the weights over steps
with several decays. The weights and all averages are scored after every epoch but the first, on pairs held out of
DATA/train, at the masks' size.
"""

import argparse
import copy
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from finetuning import hold_out, scores
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

import dichoseg
from dichoseg.contracts import Model
from dichoseg.data import open_folders
from dichoseg.runtime.files import write_json
from dichoseg.runtime.memory import keep_memory
from dichoseg.training import Optimization


class Averages:
    """Moving averages of the weights that an optimizer changes.

    Args:
        decays: Decay of each average.
    """

    def __init__(self, decays: Iterable[float]) -> None:
        self.decays = tuple(decays)
        self.weights: dict[str, list[Tensor]] = {}

    def make_optimizer(self, parameters: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """Make the default optimizer, whose steps update the averages."""
        current = list(parameters)
        self.weights = {"none": current} | {
            str(decay): [one.detach().clone() for one in current] for decay in self.decays
        }
        optimizer = Optimization().optimizer(current, lr=lr)
        optimizer.register_step_post_hook(lambda *_: self._update())
        return optimizer

    def _update(self) -> None:
        current = [one.detach() for one in self.weights["none"]]
        for decay in self.decays:
            get_ema_multi_avg_fn(decay)(self.weights[str(decay)], current, 0)


def main() -> None:
    """Train, and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--decays", type=float, nargs="+", default=[0.9, 0.95, 0.98, 0.99, 0.995])
    parser.add_argument("--held-out", type=int, default=100, metavar="PAIRS")
    options = parser.parse_args()
    keep_memory()
    training, validation = hold_out(open_folders(options.data)[0], options.held_out)
    proposal = dichoseg.propose(training, weights=options.weights)
    recipe = dataclasses.replace(proposal.recipe, size=options.size, epochs=options.epochs, ema=None)
    model, arguments = dataclasses.replace(proposal, recipe=recipe).build()
    part, own_validation = training.split(recipe.val_fraction or 0.1, seed=options.seed)
    averages = Averages(options.decays)
    found: dict[str, dict[str, float]] = {}

    def score(model: Model, row: dict[str, Any]) -> None:
        if row["epoch"] < 2:
            return
        for name, weights in averages.weights.items():
            averaged = copy.deepcopy(model)
            learning = [parameter for parameter in averaged.parameters() if parameter.requires_grad]
            with torch.no_grad():
                for parameter, weight in zip(learning, weights, strict=True):
                    parameter.copy_(weight)
            found[f"{row['epoch']} {name}"] = scores(averaged, validation)

    optimization = dataclasses.replace(arguments["optimization"], optimizer=averages.make_optimizer)
    changes = {"base": "ignore", "optimization": optimization, "on_epoch": score}
    history = dichoseg.fit(model, part, val_data=own_validation, seed=options.seed, **arguments | changes)
    write_json(options.out, {"pairs": len(part), "seed": options.seed, "scores": found, "history": list(history)})


if __name__ == "__main__":
    main()
