import functools
import json

import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from dichoseg import FolderDataset, GTEncoder, Optimization, SyntheticDataset
from dichoseg.augmentations import RandomBlurPatches, gpu_augmentation
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum
from dichoseg.training import constant, cosine
from dichoseg.training.plan import Plan
from dichoseg.training.ranks import Ranks
from dichoseg.training.settings import settings_of
from dichoseg.training.step import Stepper

DATA = SyntheticDataset(4, size=64)


def settings(model, **options):
    plan = Plan(**{"model": model, "train_data": DATA, "batch_size": 2} | options)
    return settings_of(plan, Stepper(model, plan.supervision, plan.optimization, steps=4, ranks=Ranks()))


def summed(weight=0.5, width=5):
    return WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(weight, DeepSupervision(EdgeBCELoss(width=width))))


def one(logits, mask):
    return logits.mean()


def other(logits, mask):
    return logits.mean()


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ({"objective": summed()}, {"objective": summed(weight=0.4)}, "the objective"),
        ({"objective": summed()}, {"objective": summed(width=7)}, "the objective"),
        ({}, {"augmentation": RandomBlurPatches(patches=3)}, "the augmentation"),
        (
            {"augmentation": RandomBlurPatches(patches=3)},
            {"augmentation": RandomBlurPatches(patches=4)},
            "the augmentation",
        ),
        (
            {"augmentation": gpu_augmentation("isnet", horizontal_flip=0.1)},
            {"augmentation": gpu_augmentation("isnet", horizontal_flip=0.9)},
            "the augmentation",
        ),
        ({"objective": DeepSupervision(one)}, {"objective": DeepSupervision(other)}, "the objective"),
        ({}, {"train_data": SyntheticDataset(4, size=64, seed=5)}, "the samples"),
        ({}, {"train_data": Subset(DATA, [3, 2, 1, 0])}, "the samples"),
        ({}, {"optimization": Optimization(schedule=functools.partial(cosine, warmup=2))}, "the schedule"),
        ({}, {"optimization": Optimization(schedule=constant)}, "the schedule"),
        ({}, {"optimization": Optimization(learning_rate=0.1)}, "the optimizer"),
        ({}, {"seed": 1}, "seed"),
        ({}, {"sizes": (32, 64)}, "sizes"),
        ({"sizes": (32, 64)}, {"sizes": (32, 96)}, "sizes"),
        ({}, {"best": "quick_mae", "val_data": DATA}, "best"),
    ],
)
def test_value_a_difference_is_seen(make_isnet, before, after, name):
    first, same, second = (settings(make_isnet(), **options) for options in (before, before, after))
    assert first == same == json.loads(json.dumps(first)), "plain data, the same each time"
    assert first[name] != second[name]


def test_value_the_weights_of_a_gt_encoder(make_isnet):
    found = []
    for seed in (0, 0, 1):
        gt_encoder = GTEncoder.like(make_isnet())
        torch.manual_seed(seed)
        torch.nn.init.normal_(next(gt_encoder.parameters()))
        found.append(settings(make_isnet(), objective=IntermediateSupervision(gt_encoder)))
    assert found[0] == found[1]
    assert found[0]["the weights of the objective"] != found[2]["the weights of the objective"]
    assert len(found[0]["the objective"]) < 200, "without the inside of the GT encoder"


def test_value_folders_may_move_and_options_may_not(small_isnet, tmp_path):
    found = []
    for place, options in (("a", {}), ("b", {}), ("b", {"foreground": [255]}), ("b", {"transform": print})):
        for part in ("im", "gt"):
            (tmp_path / place / part).mkdir(parents=True, exist_ok=True)
            Image.new("L", (64, 64), 255).save(tmp_path / place / part / "x.png")
        data = FolderDataset(tmp_path / place / "im", tmp_path / place / "gt", **options)
        found.append(settings(small_isnet, train_data=data, batch_size=1)["the samples"])
    assert found[0] == found[1]
    assert len(set(found)) == 3
