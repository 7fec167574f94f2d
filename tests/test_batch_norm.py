import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from dichoseg import create_model
from dichoseg.training import calibrate_batch_norm, freeze_batch_norm, is_uncalibrated

from .graphs import export


def folded(model, tmp_path):
    return create_model(**model.recipe, weights=export(model, tmp_path / "m.onnx")).eval()


def test_value_function_is_unchanged(varied_isnet, tmp_path):
    model = folded(varied_isnet, tmp_path)
    assert is_uncalibrated(model)
    images, other = torch.rand(4, 3, 64, 96) * 4 - 2, torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        before, before_other = model(images), model(other)
        model.train()
        calibrate_batch_norm(model, images)
        assert model.training
        in_train = model(images)
        model.eval()
        calibrate_batch_norm(model, images)  # train mode has moved the running statistics
        after, after_other = model(images), model(other)
    assert not is_uncalibrated(model)
    for one, two in ((before, after), (before, in_train), (before_other, after_other)):
        maps = zip((one.logits, *one.side_logits), (two.logits, *two.side_logits), strict=True)
        assert max(float((a.sigmoid() - b.sigmoid()).abs().max()) for a, b in maps) <= 1e-5


def test_value_train_mode_agrees_on_large_batches(tmp_path, varied_isnet):
    """In this layout batch norm sums in float32, which is coarse over a million values; so its statistics must be."""
    model = folded(varied_isnet, tmp_path)
    images = (torch.rand(4, 3, 512, 512) + 1).to(memory_format=torch.channels_last)
    calibrate_batch_norm(model, images)
    norm = model.encoder.stages[0].entry.norm
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    norm.register_forward_hook(lambda *call: seen.append(call[2].clone()))
    with torch.no_grad():
        model.train()(images)
    assert float((seen[1] - seen[0]).abs().max()) <= 2e-6 * float(seen[0].abs().max())


def test_value_statistics_are_those_of_the_input(varied_isnet, tmp_path):
    model = folded(varied_isnet, tmp_path)
    images = torch.rand(2, 3, 64, 64)
    calibrate_batch_norm(model, images)
    norm = model.encoder.stages[0].entry.norm
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    with torch.no_grad():
        model(images)
    torch.testing.assert_close(norm.running_mean, seen[0].mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.running_var, seen[0].var(dim=(0, 2, 3), correction=0))


def test_value_any_model_can_be_calibrated_again(varied_isnet):
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        before = varied_isnet.logits(images)
        calibrate_batch_norm(varied_isnet, images)
        torch.testing.assert_close(varied_isnet.logits(images), before, rtol=1e-5, atol=1e-5)


def test_value_a_fresh_model_is_not_uncalibrated(small_isnet):
    assert not is_uncalibrated(small_isnet)


def test_value_frozen_stays_as_it_is(varied_isnet, tmp_path):
    model = folded(varied_isnet, tmp_path)
    image = torch.rand(2, 3, 64, 64)
    before = model.logits(image)
    freeze_batch_norm(model)
    assert not is_uncalibrated(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    torch.testing.assert_close(model.train().logits(image), before, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="no live batch norm to freeze"):
        freeze_batch_norm(model)
    with pytest.raises(ValueError, match="no live batch norm to calibrate"):
        calibrate_batch_norm(model, image)


def test_value_frozen_computes_in_the_type_of_its_input(varied_isnet):
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = varied_isnet(images).logits
        freeze_batch_norm(varied_isnet)
        types = []
        for norm in varied_isnet.modules():
            if type(norm).__name__ == "FrozenBatchNorm2d":
                norm.register_forward_hook(lambda _, inputs, output: types.append((inputs[0].dtype, output.dtype)))
        torch.testing.assert_close(varied_isnet.train()(images).logits, before)
        with torch.autocast("cpu", torch.bfloat16):
            copy.deepcopy(varied_isnet)(images)
    half = len(types) // 2
    assert types[:half] == [(torch.float32, torch.float32)] * half
    assert types[half:] == [(torch.bfloat16, torch.bfloat16)] * half


def test_value_frozen_keeps_the_activation_of_timm_s_batch_norms():
    model = nn.Sequential(BatchNormAct2d(4), nn.Conv2d(4, 4, 1))
    model[0].running_mean.uniform_()
    features = torch.randn(2, 4, 8, 8)
    expected = model.eval()(features)
    freeze_batch_norm(model)
    torch.testing.assert_close(model(features), expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), "torch.uint8"),
        (torch.full((2, 3, 64, 64), float("nan")), "not finite"),
        (torch.rand(1, 3, 8, 8), "one value per channel, which has no variance; use more images"),
    ],
)
def test_error_images_leave_the_model_alone(varied_isnet, images, message):
    before = {key: value.clone() for key, value in varied_isnet.state_dict().items()}
    with pytest.raises((TypeError, ValueError), match=message):
        calibrate_batch_norm(varied_isnet, images)
    assert all(torch.equal(value, before[key]) for key, value in varied_isnet.state_dict().items())
