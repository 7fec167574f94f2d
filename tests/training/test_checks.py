import logging

import pytest
import torch
from torch import nn

from dichoseg import Preprocessing, SyntheticDataset, fit
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum
from dichoseg.training.checks import (
    FirstEpoch,
    check_finite,
    check_precision,
    check_validation,
    grouped,
    tell_overfitting,
)

DATA = SyntheticDataset(4, size=64)
BLACK = [(image, torch.zeros_like(mask)) for image, mask, _ in (DATA[index] for index in range(4))]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_error_nothing_to_validate_on(small_isnet, tmp_path):
    with pytest.raises(ValueError, match="nothing can be validated: val_data holds 4 masks and all of them are empty"):
        fit(small_isnet, DATA, val_data=BLACK, epochs=1, batch_size=4, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    check_validation([*BLACK, DATA[0]])


def test_value_warns_of_empty_masks(small_isnet, caplog):
    fit(small_isnet, BLACK, epochs=1, batch_size=4)
    assert "4 of the first 4 training masks are empty" in caplog.text
    caplog.clear()
    fit(small_isnet, DATA, epochs=1, batch_size=4)
    assert warnings(caplog) == []


def test_value_warns_of_empty_masks_as_soon_as_there_are_enough(caplog):
    first = FirstEpoch()
    for _ in range(3):
        first.see(torch.zeros(50, 1, 2, 2))
    first.end({"main": 1.0})
    assert len(warnings(caplog)) == 1
    assert "100 of the first 100 training masks are empty" in caplog.text


def test_value_warns_of_a_term_that_dominates(small_isnet, caplog):
    objective = WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(100.0, DeepSupervision(EdgeBCELoss())))
    fit(small_isnet, DATA, objective=objective, epochs=1, batch_size=4)
    assert "edge makes up 9" in caplog.text
    assert "lower its weight: WeightedSum(edge=(weight, objective), ...)" in caplog.text


def test_value_the_first_part_may_dominate(small_isnet, caplog):
    objective = WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(0.01, DeepSupervision(EdgeBCELoss())))
    fit(small_isnet, DATA, objective=objective, epochs=1, batch_size=4)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "terms",
    [
        {"main": 9.0, "side_1": 0.1},
        {"bce/main": 9.0},
        {"bce/main": 1.0, "edge/main": 0.9},
        {"a/main": 0.0, "b/main": 0.0},
    ],
)
def test_value_no_warning_without_a_dominant_term(terms, caplog):
    first = FirstEpoch()
    first.see(torch.ones(2, 1, 4, 4))
    first.end(terms)
    assert warnings(caplog) == []


def test_value_warns_of_single_images(small_isnet, caplog):
    small_isnet.preprocessing = Preprocessing(size=96)
    fit(small_isnet, [DATA[0], DATA[1]], epochs=1, batch_size=1)
    assert "every batch holds one image" in caplog.text
    caplog.clear()
    fit(small_isnet, [DATA[0], DATA[1], DATA[2]], epochs=1, batch_size=2)
    assert "the last batch of each epoch holds one image (3 images, batch_size=2)" in caplog.text


def test_value_no_warning_of_single_images_without_batch_norm(small_isnet, caplog):
    small_isnet.preprocessing = Preprocessing(size=96)
    for parent in list(small_isnet.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.GroupNorm(1, child.num_features))
    fit(small_isnet, [DATA[0]], epochs=1, batch_size=1)
    assert warnings(caplog) == []


def test_value_what_overfitting_tells(caplog):
    caplog.set_level(logging.INFO)
    tell_overfitting([{"loss": 4.0, "quick_max_f": 0.2}, {"loss": 1.0, "quick_max_f": 0.9}])
    assert "can learn a few batches by heart: loss 4 -> 1 in 2 epochs, quick_max_f 0.900" in caplog.text
    assert caplog.records[-1].levelno == logging.INFO
    tell_overfitting([{"loss": 4.0, "quick_max_f": 0.2}, {"loss": 3.0, "quick_max_f": 0.1}])
    assert "has not learnt" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING


def test_error_term_that_is_not_finite():
    terms = {"loss": float("nan"), "fine": 1.0, "broken": float("nan")}
    with pytest.raises(FloatingPointError, match="broken is nan in epoch 2, step 3, images a, b"):
        check_finite(terms, 2, 3, ["a", "b"], keep=None)


def test_value_grouped():
    assert grouped({"loss": 3.0, "main": 1.0, "side_1": 1.0, "side_2": 1.0}) == {"loss": 3.0, "main": 1.0, "side": 2.0}


def test_error_folded_batch_norm_is_not_trained(small_isnet, tmp_path):
    from dichoseg.batch_norm import identity_statistics
    from dichoseg.training import calibrate_batch_norm, freeze_batch_norm

    def fold(model):
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.load_state_dict(identity_statistics(norm.running_var, norm.eps), strict=False)
        return model

    with pytest.raises(ValueError, match=r"batch norms pass everything through.*calibrate_batch_norm\(model, images\)"):
        fit(fold(small_isnet), DATA, epochs=1, batch_size=2, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    calibrate_batch_norm(small_isnet, torch.rand(2, 3, 64, 64))
    fit(small_isnet, DATA, epochs=1, batch_size=2)
    freeze_batch_norm(fold(small_isnet))
    fit(small_isnet, DATA, epochs=1, batch_size=2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_error_parameters_of_another_precision(small_isnet, dtype):
    model = small_isnet.to(dtype)
    with pytest.raises(ValueError, match=f"must be float32 in training; got encoder.* of {dtype}: call model.float()"):
        fit(model, SyntheticDataset(2, size=64), epochs=1, batch_size=2, precision="float32")
    assert fit(model.float(), SyntheticDataset(2, size=64), epochs=1, batch_size=2, precision="float32")


def test_value_bfloat16_parameters_learn_under_bfloat16(small_isnet):
    check_precision(small_isnet.bfloat16(), torch.bfloat16)
