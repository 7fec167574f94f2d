import dataclasses

import torch

from dichoseg import Target
from dichoseg.batch_norm import live_batch_norms
from dichoseg.objectives import WeightedSum
from dichoseg.planning import Recipe

RECIPE = Recipe(
    size=64, batch_size=2, accumulate=3, epochs=4, learning_rate=2e-5, loss=("bce", "iou"), objective=(),
    augmentation=("isnet",), ema=0.9, freeze_batch_norm=False, freeze_encoder=False, checkpoint_activations=False,
    val_fraction=None, base="average",
)  # fmt: skip


def test_value_a_model_is_frozen_as_the_recipe_says(small_isnet):
    learning = [name for name, value in small_isnet.named_parameters() if value.requires_grad]
    assert RECIPE.prepare(small_isnet) is small_isnet
    assert [name for name, value in small_isnet.named_parameters() if value.requires_grad] == learning
    assert live_batch_norms(small_isnet)
    dataclasses.replace(RECIPE, freeze_encoder=True, freeze_batch_norm=True).prepare(small_isnet)
    assert not live_batch_norms(small_isnet)
    assert not any(value.requires_grad for value in small_isnet.encoder.parameters())
    assert any(value.requires_grad for value in small_isnet.decoder.parameters())


def test_value_pairs_held_back():
    assert RECIPE.held_back(700) == 0
    shared = dataclasses.replace(RECIPE, val_fraction=0.1)
    assert (shared.held_back(700), shared.held_back(3)) == (70, 1)


def test_value_arguments_of_fit():
    arguments = RECIPE.arguments()
    assert (arguments["epochs"], arguments["batch_size"], arguments["base"]) == (4, 2, "average")
    options = arguments["optimization"]
    assert (options.learning_rate, options.accumulate, options.ema) == (2e-5, 3, 0.9)
    assert isinstance(arguments["objective"], WeightedSum)


def test_value_every_augmentation_is_applied():
    names = ("isnet", "scale_crop(input_scale=1.5)", "border_crop(input_scale=2)")
    assert dataclasses.replace(RECIPE, augmentation=names).arguments()["augmentation"].input_scale == 3
    assert dataclasses.replace(RECIPE, augmentation=()).arguments()["augmentation"] is None


def test_value_losses_are_deeply_supervised(small_isnet):
    prediction = small_isnet(torch.randn(2, 3, 64, 64))
    terms = RECIPE.make_objective().terms(prediction, Target(torch.zeros(2, 1, 64, 64)))
    assert {"bce/main", "bce/side_1", "iou/main", "iou/side_1"} <= terms.keys()
