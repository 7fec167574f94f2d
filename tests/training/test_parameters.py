import pytest
import torch

from dichoseg import GTEncoder, Optimization, Preprocessing, SyntheticDataset, create_model, fit, load_model, save_model
from dichoseg.training import constant, freeze, parameter_groups

DATA = SyntheticDataset(4, size=64)


def copy_of(module):
    return {key: value.clone() for key, value in module.state_dict().items() if "num_batches" not in key}


def is_equal(before, after):
    return {key for key, value in before.items() if torch.equal(value, after[key])}


def test_value_freeze_keeps_all_of_an_encoder(small_isnet):
    freeze(small_isnet.encoder)
    encoder, decoder = copy_of(small_isnet.encoder), copy_of(small_isnet.decoder)
    assert not any(parameter.requires_grad for parameter in small_isnet.encoder.parameters())
    fit(small_isnet, DATA, epochs=1, batch_size=2)
    assert is_equal(encoder, small_isnet.encoder.state_dict()) == set(encoder)
    changed = set(decoder) - is_equal(decoder, small_isnet.decoder.state_dict())
    assert {key.rpartition(".")[2] for key in changed} == {"weight", "bias", "running_mean", "running_var"}


def test_value_frozen_encoder_is_saved_and_loaded(small_isnet, tmp_path):
    freeze(small_isnet.encoder)
    fit(small_isnet, DATA, epochs=1, batch_size=2)
    save_model(small_isnet, tmp_path / "model")
    image = torch.rand(1, 3, 64, 64)
    wanted, found = (model.eval().logits(image) for model in (small_isnet, load_model(tmp_path / "model")))
    assert torch.equal(wanted, found)


def test_value_freeze_without_batch_norm(small_isnet):
    freeze(small_isnet.heads)
    assert not any(parameter.requires_grad for parameter in small_isnet.heads.parameters())
    assert all(parameter.requires_grad for parameter in small_isnet.encoder.parameters())


def test_value_freeze_a_timm_encoder():
    model = create_model("isnet", encoder="timm:test_resnet", preprocessing=Preprocessing(size=64))
    freeze(model.encoder)
    before = copy_of(model.encoder)
    fit(model, DATA, epochs=1, batch_size=2)
    assert is_equal(before, model.encoder.state_dict()) == set(before)


def test_value_groups(small_isnet):
    rest, encoder = parameter_groups(small_isnet, 1e-2, encoder=0.1)
    assert (rest["lr"], encoder["lr"]) == (1e-2, pytest.approx(1e-3))
    assert set(encoder["params"]) == set(small_isnet.encoder.parameters())
    assert set(rest["params"]) == set(small_isnet.parameters()) - set(encoder["params"])
    assert set(rest) == set(encoder) == {"params", "lr"}  # weight decay is the optimiser's


def test_value_groups_with_weight_decay(small_isnet):
    groups = parameter_groups(small_isnet, 1e-2, encoder=0.5, weight_decay=0.3)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [
        (1e-2, 0.3),
        (1e-2, 0.0),
        (5e-3, 0.3),
        (5e-3, 0.0),
    ]
    for group in groups:
        assert all((parameter.ndim > 1) == (group["weight_decay"] > 0) for parameter in group["params"])
    parameters = [parameter for group in groups for parameter in group["params"]]
    assert sorted(map(id, parameters)) == sorted(map(id, small_isnet.parameters()))


def test_value_groups_leave_out_what_is_frozen(small_isnet):
    freeze(small_isnet.encoder)
    (rest,) = parameter_groups(small_isnet, 1e-2)
    assert set(rest["params"]) == {*small_isnet.decoder.parameters(), *small_isnet.heads.parameters()}


def test_value_groups_in_fit(small_isnet):
    encoder, decoder = copy_of(small_isnet.encoder), copy_of(small_isnet.decoder)
    history = fit(
        small_isnet,
        DATA,
        epochs=1,
        batch_size=4,
        optimization=Optimization(
            clip_norm=None,
            optimizer=lambda _, lr: torch.optim.Adam(parameter_groups(small_isnet, lr, encoder=0.1)),
            schedule=constant,
        ),
    )
    assert history[0]["learning_rate"] == 1e-3
    moved = [
        max(float((part.state_dict()[key] - before[key]).abs().max()) for key in before if "running" not in key)
        for part, before in ((small_isnet.encoder, encoder), (small_isnet.decoder, decoder))
    ]
    assert moved == pytest.approx([1e-4, 1e-3], rel=1e-2)  # Adam's first step is as long as its rate


def test_error_groups(small_isnet):
    with pytest.raises(ValueError, match="`encoder`; got SideHeads"):
        parameter_groups(small_isnet.heads, 1e-3)
    with pytest.raises(ValueError, match="encoder must be above 0; got 0"):
        parameter_groups(small_isnet, 1e-3, encoder=0)
    with pytest.raises(ValueError, match="learning_rate must be above 0; got nan"):
        parameter_groups(small_isnet, float("nan"))
    with pytest.raises(ValueError, match="weight_decay must be 0 or more; got -1"):
        parameter_groups(small_isnet, 1e-3, weight_decay=-1)
    freeze(small_isnet)
    with pytest.raises(ValueError, match="no parameter that takes a gradient; is all of it frozen"):
        parameter_groups(small_isnet, 1e-3)
    assert len(parameter_groups(GTEncoder.like(small_isnet), 1e-3)) == 2
