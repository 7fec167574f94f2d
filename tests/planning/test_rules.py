import pytest

from dichoseg import Preprocessing, Segmenter
from dichoseg.data import DataReport, Problem
from dichoseg.decoders import EdgeGuidedDecoder
from dichoseg.planning.rules import recipe_for, with_epochs


def report(pairs=700, *, problems=()):
    return DataReport(
        pairs=pairs,
        problems=tuple(problems),
        sizes=((200, 100), (400, 300)),
        foreground=(0.1, 0.2, 0.3),
        thin=0.0,
    )


def propose(model, *arguments, validation=0, memory_gb=100.0, **facts):
    return recipe_for(model, report(*arguments, **facts), validation=validation, memory_gb=memory_gb)


@pytest.fixture
def isnet(small_isnet):
    small_isnet.preprocessing = Preprocessing(size=1024)
    return small_isnet


def test_value_size_is_that_of_the_network(isnet):
    proposed = propose(isnet)
    assert proposed.recipe.size == 1024
    isnet.preprocessing = Preprocessing(size=64)
    assert propose(isnet).recipe.size == 64


@pytest.mark.parametrize(
    ("pairs", "epochs", "fraction"), [(10000, 3, 0.1), (700, 5, 0.1), (200, 10, 0.1), (30, 10, 0.2)]
)
def test_value_epochs_and_validation_follow_the_number_of_pairs(isnet, pairs, epochs, fraction):
    recipe = propose(isnet, pairs).recipe
    assert (recipe.epochs, recipe.val_fraction) == (epochs, fraction)
    assert propose(isnet, pairs, validation=50).recipe.val_fraction is None


def test_value_few_validation_images_do_not_choose(isnet):
    assert [propose(isnet, pairs).recipe.base for pairs in (25, 290, 300)] == ["half", "half", "average"]
    assert [propose(isnet, validation=images).recipe.base for images in (29, 30)] == ["half", "average"]


def test_value_soft_masks_want_a_loss_of_levels(isnet):
    soft = [Problem("soft mask", "warning", f"{index}", "") for index in range(30)]
    assert propose(isnet, 100).recipe.loss == ("bce", "iou")
    assert propose(isnet, 100, problems=soft).recipe.loss == ("bce", "mae")


def test_value_a_network_keeps_its_own_objective(isnet):
    isnet.recipe = {"name": "deep_supervision"}
    recipe = propose(isnet).recipe
    assert (recipe.loss, recipe.objective) == ((), ("deep_supervision",))


def test_value_predicted_edges_are_supervised(isnet):
    channels = [4] * len(isnet.encoder.feature_info.channels)
    edges = Segmenter(isnet.encoder, EdgeGuidedDecoder(isnet.encoder.feature_info, channels=channels))
    edges.preprocessing = Preprocessing(size=64)
    recipe = propose(edges).recipe
    assert (recipe.loss, recipe.objective) == (("bce", "iou"), ("edge_supervision",))


def test_value_less_memory_gives_smaller_batches_and_as_many_images_a_step(isnet):
    plenty = propose(isnet)
    forecast = plenty.fit.forecast
    short = propose(isnet, memory_gb=forecast.total - 0.3 * forecast.activations)
    assert short.recipe.batch_size < plenty.recipe.batch_size == 4
    assert short.recipe.batch_size * short.recipe.accumulate == 4
    assert short.recipe.size == plenty.recipe.size


def test_error_memory_that_nothing_fits(isnet):
    with pytest.raises(ValueError, match=r"nothing fits 0\.01 GB"):
        propose(isnet, memory_gb=0.01)


def test_value_few_steps_are_not_averaged(isnet):
    assert propose(isnet, 12).recipe.ema is None
    assert propose(isnet, 200).recipe.ema == 0.994  # 45 steps an epoch, 10 epochs
    assert propose(isnet, 20_000).recipe.ema == 0.999


def test_value_fewer_epochs_change_the_moving_average(isnet):
    recipe = propose(isnet, 200).recipe
    shorter, reasons = with_epochs(recipe, 5, 180)
    assert (shorter.epochs, shorter.ema) == (5, 0.989)
    assert "90 of 225 steps" in reasons["ema"]
    assert with_epochs(recipe, 2, 180)[0].ema is None
