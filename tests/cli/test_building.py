import math

import pytest
import torch

from dichoseg import Prediction, Target, create_model
from dichoseg.cli.building import (
    AugmentationOptions,
    NetworkOptions,
    ObjectiveOptions,
    OptimizationOptions,
    ScheduleOptions,
    network_name,
)
from dichoseg.cli.options import as_arguments
from dichoseg.objectives import WeightedSum


def objective_parts(losses=(), objectives=()):
    return ObjectiveOptions(loss=losses, objective=objectives).parts()


def make_augmentation(names):
    return AugmentationOptions(augmentation=names).on_device()


def make_transform(name, size):
    return AugmentationOptions(cpu_augmentation=name).in_workers(size)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("edge_bc", "did you mean 'edge_bce'"),
        ("bce:x", "the weight a number"),
        ("bce:-1", "a finite number above 0; got 'bce:-1'"),
        ("bce:nan", "a finite number above 0"),
    ],
)
def test_error_loss_names(loss, message):
    with pytest.raises(ValueError, match=message):
        objective_parts([loss])


def test_error_loss_given_twice():
    with pytest.raises(ValueError, match="'bce' is given twice"):
        objective_parts(["bce", "edge_bce", "bce:0.5"])


def test_value_an_edge_loss_alone_gets_company(capsys):
    prediction = Prediction(torch.zeros(1, 1, 8, 8), (torch.zeros(1, 1, 4, 4),))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    terms = WeightedSum(**objective_parts(["edge_bce:0.5"])).terms(prediction, Target(mask))
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {"bce/main": math.log(2), "bce/side_1": math.log(2), "edge_bce/main": 0.5 * math.log(2)}
    )
    assert "bce is added" in capsys.readouterr().err
    terms = WeightedSum(**objective_parts(["bce:2"])).terms(prediction, Target(mask))
    assert set(terms) == {"bce/main", "bce/side_1"}


def test_value_network_is_called_with_its_swapped_parts():
    assert network_name(create_model("u2netp")) == "u2netp"
    swapped = create_model("isnet", encoder="timm:test_resnet", decoder="fpn", decoder_args={"channels": 8})
    assert network_name(swapped) == "isnet with encoder timm:test_resnet and decoder fpn"
    swapped.recipe = None
    assert network_name(swapped) == "model"


def test_value_augmentations_in_a_row():
    assert make_augmentation([]) is None
    assert type(make_augmentation(["blur_patches"])).__name__ == "RandomBlurPatches"
    both = make_augmentation(["isnet", "blur_patches"])
    assert [type(step).__name__ for step in both.augmentations] == ["Compose", "RandomBlurPatches"]


def test_value_frozen_encoder():
    network = NetworkOptions(model="u2netp", freeze_encoder=True, size=64).make(seed=0)
    assert not any(parameter.requires_grad for parameter in network.encoder.parameters())


def test_value_rate_of_the_encoder_and_schedule():
    network = create_model("u2netp")
    options = ScheduleOptions(encoder_rate=0.1, schedule="constant", warmup=1)
    optimization = options.applied_to(OptimizationOptions(learning_rate=0.5), network)
    optimizer = optimization.optimizer(list(network.parameters()), lr=optimization.learning_rate)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]
    optimization.schedule(optimizer, 4)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.025]
    with pytest.raises(ValueError, match="encoder-rate.*0"):
        ScheduleOptions(encoder_rate=0).applied_to(OptimizationOptions(), network)
    with pytest.raises(ValueError, match="ema.*2"):
        ScheduleOptions().applied_to(OptimizationOptions(ema=2), network)


def test_value_one_loss_with_several_settings():
    parts = objective_parts(["bce", "edge_bce(width=3)", "edge_bce(width=9):0.5"])
    assert list(parts) == ["bce", "edge_bce", "edge_bce_2"]
    assert parts["edge_bce_2"][0] == 0.5
    with pytest.raises(ValueError, match=r"'edge_bce\( width = 3 \)' is given twice"):
        objective_parts(["bce", "edge_bce(width=3)", "edge_bce( width = 3 ):2"])


def test_value_supervision_of_edges_needs_that_of_the_mask(capsys):
    parts = objective_parts(objectives=["edge_supervision"])
    assert list(parts) == ["bce", "edge_supervision"]
    assert "bce is added" in capsys.readouterr().err
    network = create_model("egnet_vgg16")
    assert list(ObjectiveOptions().edge_part(network, {})) == ["predicted_edges"]
    assert ObjectiveOptions().edge_part(network, parts) == {}, "or the edges would count twice"


def test_value_preset_with_steps():
    assert make_transform(None, 64) is None
    assert make_transform("strong(jpeg=0)", 64) is not None
    for preset in ("strong(0.5)", "nope/strong", "strong:foo", "strong(size=64)"):
        with pytest.raises(ValueError, match="wanted a preset with steps by name"):
            make_transform(preset, 64)


def test_value_weights_by_name_or_absolute_path(tiny_weights, tmp_path):
    options = NetworkOptions(weights="tiny", size=64)
    assert as_arguments(options) == ["--weights=tiny", "--size=64"]
    network = options.make(seed=0)
    assert (network.origin.name, network.preprocessing.size, network.recipe) == ("tiny", 64, {"name": "u2netp"})
    assert NetworkOptions(weights="tiny", model="u2netp").make(seed=0).origin is tiny_weights
    assert NetworkOptions(weights="authors.pth").weights == str(tmp_path / "authors.pth")
