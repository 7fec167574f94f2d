import csv
import logging

import pytest
import torch

from dichoseg import Optimization, Preprocessing, SyntheticDataset, create_model, fit_gt_encoder, load_model
from dichoseg.objectives import IntermediateSupervision

DATA = SyntheticDataset(6, size=64)
FAST = Optimization(learning_rate=1e-2)


def train(model, out=None, **options):
    return fit_gt_encoder(model, DATA, out=out, batch_size=3, optimization=FAST, **options)


def test_value_trains_until_it_is_good_enough(small_isnet, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    gt_encoder = train(small_isnet, tmp_path, epochs=50, max_f=0.8)
    with (tmp_path / "gt_encoder/run/history.csv").open() as file:
        scores = [float(row["quick_max_f"]) for row in csv.DictReader(file)]
    assert len(scores) < 50
    assert max(scores[:-1], default=0) <= 0.8 < scores[-1]
    assert "training ends here" in caplog.text
    assert not gt_encoder.training
    IntermediateSupervision(gt_encoder, student=small_isnet)


def test_value_the_one_in_the_folder_is_used_again(small_isnet, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first = train(small_isnet, tmp_path, epochs=1, max_f=0.0)
    before = (tmp_path / "gt_encoder/model.safetensors").stat().st_mtime_ns
    again = train(small_isnet, tmp_path, epochs=1, max_f=0.0)
    assert "is used" in caplog.text
    assert (tmp_path / "gt_encoder/model.safetensors").stat().st_mtime_ns == before
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in first.state_dict().items())
    assert load_model(tmp_path / "gt_encoder").feature_info == small_isnet.feature_info


def test_value_epochs_end_with_a_warning(small_isnet, caplog):
    train(small_isnet, epochs=1, max_f=0.9999)
    assert "reached 0." in caplog.text
    assert "in 1 epochs, not 0.9999" in caplog.text


def test_value_same_seed_same_weights_and_global_state_left_alone(small_isnet):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    states = [train(small_isnet, epochs=1, seed=4).state_dict() for _ in range(2)]
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_error_another_models_gt_encoder_in_the_folder(small_isnet, tmp_path):
    train(small_isnet, tmp_path, epochs=1, max_f=0.0)
    args = {"channels": [4, 4], "mid_channels": [2, 2], "strides": [2, 4], "stem_channels": 4}
    other = create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=64))
    with pytest.raises(ValueError, match="keeps a GT encoder that does not fit this model"):
        train(other, tmp_path, epochs=1)
