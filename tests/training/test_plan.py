import pytest
import torch
from torch import nn

from dichoseg import GTEncoder, Optimization, SyntheticDataset, create_model, fit
from dichoseg.objectives import IntermediateSupervision
from dichoseg.training import EarlyStopping, freeze_batch_norm
from dichoseg.training.plan import Plan

DATA = SyntheticDataset(4, size=64)
BLACK = [(image, torch.zeros_like(mask)) for image, mask, _ in (DATA[index] for index in range(4))]
FLOAT32 = Optimization(precision="float32")


def plan(model, **options):
    return Plan(**{"model": model, "train_data": DATA, "batch_size": 2} | options)


@pytest.mark.parametrize(
    ("options", "error", "values"),
    [
        ({"epochs": 1.5}, TypeError, "epochs.*1.5"),
        ({"epochs": 0}, ValueError, "epochs.*0"),
        ({"batch_size": "3"}, TypeError, "batch_size.*'3'"),
        ({"batch_size": 5}, ValueError, "batch_size=5.*4 samples"),
        ({"workers": 0.5}, TypeError, "workers.*0.5"),
        ({"workers": -1}, ValueError, "workers.*-1"),
        ({"seed": -1}, ValueError, "seed.*-1"),
        ({"sizes": (64, "96")}, TypeError, "sizes.*'96'"),
        ({"sizes": (64, 64)}, ValueError, "sizes.*64, 64"),
        ({"optimization": "adamw"}, TypeError, "optimization.*'adamw'"),
        ({"augmentation": "isnet"}, TypeError, "augmentation.*'isnet'"),
        ({"objective": "bce"}, TypeError, "objective.*'bce'"),
        ({"on_epoch": 3}, TypeError, "on_epoch.*3"),
        ({"on_epoch": [5]}, TypeError, "on_epoch.*5"),
        ({"model": nn.Linear(2, 2)}, TypeError, "Linear"),
        ({"model": None}, TypeError, "NoneType"),
        ({"train_data": "data"}, TypeError, "str"),
        ({"train_data": []}, ValueError, "train_data"),
        ({"val_data": []}, ValueError, "val_data"),
        ({"val_data": BLACK}, ValueError, "val_data holds 4 masks.*empty"),
        ({"device": "gpu"}, ValueError, "device.*'gpu'"),
        ({"best": 3}, TypeError, "best.*3"),
        ({"best": "quick_mab"}, ValueError, "'quick_mab'.*'quick_mae'"),
        ({"best": "mba"}, ValueError, "'mba'.*val_data"),
        ({"resume": True}, ValueError, "resume=True.*out"),
    ],
)
def test_error_arguments(small_isnet, tmp_path, options, error, values):
    options = {"out": None if "resume" in options else tmp_path / "run"} | options
    with pytest.raises(error, match=values):
        plan(**{"model": small_isnet} | options)
    assert not (tmp_path / "run").exists()


def test_error_folder_in_use(small_isnet, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="notes.txt"):
        plan(small_isnet, out=tmp_path)


def test_error_a_model_without_trainable_parameters(small_isnet):
    with pytest.raises(ValueError, match="is all of it frozen"):
        plan(small_isnet.requires_grad_(False))


def test_error_student_that_does_not_fit(small_isnet):
    other = create_model("isnet", encoder_args={"channels": [4, 4], "mid_channels": [2, 2], "strides": [2, 4]})
    with pytest.raises(ValueError, match="the GT encoder gives features of channels"):
        plan(small_isnet, objective=IntermediateSupervision(GTEncoder.like(other)))


def test_value_some_masks_may_be_empty(small_isnet):
    plan(small_isnet, val_data=[*BLACK, DATA[0]])


def test_value_callbacks_may_add_any_score(small_isnet):
    stopping = EarlyStopping(1)
    assert plan(small_isnet, best="mine", on_epoch=stopping).callbacks == (stopping,)
    assert plan(small_isnet).callbacks == ()


def test_error_batch_of_several_ranks(small_isnet, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ValueError, match="batch_size=3.*2 ranks.*4 samples; use 2"):
        plan(small_isnet, batch_size=3)


def test_error_folded_batch_norm_is_not_trained(small_isnet, tmp_path):
    from dichoseg.batch_norm import identity_statistics
    from dichoseg.training import calibrate_batch_norm

    def fold(model):
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.load_state_dict(identity_statistics(norm.running_var, norm.eps), strict=False)
        return model

    with pytest.raises(ValueError, match=r"calibrate_batch_norm\(model, images\)"):
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
        fit(model, SyntheticDataset(2, size=64), epochs=1, batch_size=2, optimization=FLOAT32)
    assert fit(model.float(), SyntheticDataset(2, size=64), epochs=1, batch_size=2, optimization=FLOAT32)


def test_value_bfloat16_parameters_learn_under_bfloat16(small_isnet):
    plan(small_isnet.bfloat16(), optimization=Optimization(precision="bfloat16"))
