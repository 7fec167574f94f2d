import math

import pytest
import torch
from torch import nn

from dichoseg import Prediction, Target, create_model
from dichoseg.cli.building import described, edge_part, encoder_of, make_augmentation, make_transform, objective_parts
from dichoseg.objectives import WeightedSum


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
        objective_parts([loss], [])


def test_error_loss_given_twice():
    with pytest.raises(ValueError, match="'bce' is given twice"):
        objective_parts(["bce", "edge_bce", "bce:0.5"], [])


def test_value_an_edge_loss_alone_gets_company(capsys):
    prediction = Prediction(torch.zeros(1, 1, 8, 8), (torch.zeros(1, 1, 4, 4),))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    terms = WeightedSum(**objective_parts(["edge_bce:0.5"], [])).terms(prediction, Target(mask))
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {"bce/main": math.log(2), "bce/side_1": math.log(2), "edge_bce/main": 0.5 * math.log(2)}
    )
    assert "bce is added" in capsys.readouterr().err
    terms = WeightedSum(**objective_parts(["bce:2"], [])).terms(prediction, Target(mask))
    assert set(terms) == {"bce/main", "bce/side_1"}


def test_value_network_is_called_with_its_swapped_parts():
    assert described(create_model("u2netp")) == "u2netp"
    swapped = create_model("isnet", encoder="timm:test_resnet", decoder="fpn", decoder_args={"channels": 8})
    assert described(swapped) == "isnet with encoder timm:test_resnet and decoder fpn"
    swapped.recipe = None
    assert described(swapped) == "model"


def test_value_augmentations_in_a_row():
    assert make_augmentation([]) is None
    assert type(make_augmentation(["blur_patches"])).__name__ == "RandomBlurPatches"
    both = make_augmentation(["isnet", "blur_patches"])
    assert [type(step).__name__ for step in both.augmentations] == ["Compose", "RandomBlurPatches"]


def test_error_network_without_an_encoder():
    model = create_model("u2netp")
    assert encoder_of(model, "--freeze-encoder") is model.encoder
    with pytest.raises(ValueError, match="--freeze-encoder needs a network with an encoder; Linear has none"):
        encoder_of(nn.Linear(1, 1), "--freeze-encoder")


def test_value_one_loss_with_several_settings():
    parts = objective_parts(["bce", "edge_bce(width=3)", "edge_bce(width=9):0.5"], [])
    assert list(parts) == ["bce", "edge_bce", "edge_bce_2"]
    assert parts["edge_bce_2"][0] == 0.5
    with pytest.raises(ValueError, match=r"'edge_bce\( width = 3 \)' is given twice"):
        objective_parts(["bce", "edge_bce(width=3)", "edge_bce( width = 3 ):2"], [])


def test_value_supervision_of_edges_needs_that_of_the_mask(capsys):
    parts = objective_parts([], ["edge_supervision"])
    assert list(parts) == ["bce", "edge_supervision"]
    assert "bce is added" in capsys.readouterr().err
    network = create_model("egnet_vgg16")
    assert list(edge_part(network, None, {})) == ["predicted_edges"]
    assert edge_part(network, None, parts) == {}, "or the edges would count twice"


def test_value_preset_with_steps():
    assert make_transform(None, 64) is None
    assert make_transform("strong(jpeg=0)", 64) is not None
    for preset in ("strong(0.5)", "nope/strong", "strong:foo", "strong(size=64)"):
        with pytest.raises(ValueError, match="wanted a preset with steps by name"):
            make_transform(preset, 64)
