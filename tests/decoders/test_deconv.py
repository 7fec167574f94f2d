import pytest
import torch
from torch import nn

from dichoseg import (
    FeatureInfo,
    FusedHeads,
    Preprocessing,
    Segmenter,
    create_model,
    export_onnx,
    load_model,
    save_model,
)
from dichoseg.decoders import DeconvDecoder, DeconvEnlarger, FPNDecoder, RSUDecoder
from dichoseg.testing import check_decoder

from ..conftest import SMALL
from .conftest import SmallEncoder, overfit

INFO = FeatureInfo((4, 8, 8, 8), (2, 4, 4, 16))


def nonlinear_isnet():
    torch.manual_seed(0)
    decoder_args = {"channels": 8, "nonlinear": True}
    encoder_args = SMALL | {"channels": [8, 8, 16, 16], "mid_channels": [4, 4, 8, 8], "strides": [2, 4, 8, 16]}
    model = create_model(
        "isnet",
        encoder_args=encoder_args,
        decoder="deconv",
        decoder_args=decoder_args,
        preprocessing=Preprocessing(size=64),
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def test_value_steps_follow_the_ratio():
    enlarger = DeconvEnlarger(INFO, channels=6)
    counts = [sum(isinstance(m, nn.ConvTranspose2d) for m in part.modules()) for part in enlarger.enlarge]
    assert counts == [0, 2]
    assert enlarger.feature_info == ((4, 8, 6, 6), (2, 4, 4, 4))


def test_value_norm_and_relu_behind_each_step():
    enlarger = DeconvEnlarger(INFO, channels=6, nonlinear=True)
    steps = [[type(module) for module in part] for part in enlarger.enlarge]
    behind = [nn.BatchNorm2d, nn.ReLU]
    assert steps == [[nn.Conv2d, *behind], [nn.ConvTranspose2d, *behind, nn.ConvTranspose2d, *behind]]


@torch.no_grad()
@pytest.mark.parametrize("nonlinear", [False, True])
def test_value_whether_the_steps_are_linear(nonlinear):
    chain = DeconvEnlarger(FeatureInfo((4, 4, 4), (1, 2, 16)), channels=4, nonlinear=nonlinear).eval().enlarge[0]
    one, other = torch.randn(2, 1, 4, 3, 5)
    zero = chain(torch.zeros_like(one))
    apart = (chain(one) + chain(other) - chain(one + other) - zero).abs().max()
    assert bool(apart > 1e-3) is nonlinear


def test_value_the_linear_chain_keeps_its_names():
    """Saved weights and the published ones name these."""
    names = [name for name, _ in DeconvEnlarger(INFO, channels=6).enlarge.named_parameters()]
    assert names == ["0.weight", "0.bias", "1.0.weight", "1.0.bias", "1.1.weight", "1.1.bias"]


@pytest.mark.parametrize("nonlinear", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_shape_second_features_size(size, nonlinear):
    decoder = DeconvDecoder(INFO, channels=6, nonlinear=nonlinear, decoder=RSUDecoder(INFO)).eval()
    inputs = tuple(torch.rand(1, c, *(-(-side // s) for side in size)) for c, s in zip(*INFO, strict=True))
    for feature, channels, stride in zip(decoder(inputs), *decoder.feature_info, strict=True):
        assert feature.shape == (1, channels, *(-(-side // stride) for side in size))


@pytest.mark.parametrize("make", [DeconvEnlarger, DeconvDecoder])
def test_value_the_nonlinear_one_keeps_to_the_contract(make):
    check_decoder(lambda info: make(info, channels=8, nonlinear=True))


@torch.no_grad()
def test_value_layout_and_answer():
    model = nonlinear_isnet()
    image = torch.rand(2, 3, 65, 97) - 0.5
    wanted = model(image)
    torch.testing.assert_close(model.logits(image), wanted.logits)
    strided = nonlinear_isnet().to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
    with torch.autocast("cpu", torch.bfloat16):
        coarse = model(image)
    for index, side in enumerate((wanted.logits, *wanted.side_logits)):
        torch.testing.assert_close((strided.logits, *strided.side_logits)[index], side, rtol=1e-4, atol=1e-5)
        near = (coarse.logits, *coarse.side_logits)[index].float()
        assert (near - side).abs().max() < 0.05 * (side.max() - side.min())
        assert side.std() > 0.01


def test_value_the_nonlinear_one_is_saved_and_loaded(tmp_path):
    model = nonlinear_isnet()
    save_model(model, tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    assert again.recipe == model.recipe
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for found, wanted in zip(again.eval()(image).side_logits, model(image).side_logits, strict=True):
            assert torch.equal(found, wanted)


def test_value_onnx_file_reads_back(tmp_path):
    """With heads that fuse all maps, so that the transposed convolutions and their batch norms are in the file."""
    model = nonlinear_isnet()
    fused = Segmenter(model.encoder, model.decoder, FusedHeads(model.feature_info), preprocessing=model.preprocessing)
    assert export_onnx(fused.eval(), tmp_path / "fused.onnx", dynamic=True) < 1e-4
    assert export_onnx(model, tmp_path / "model.onnx") < 1e-4
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = fused.logits(image)
        for module in fused.decoder.enlarger.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        assert (fused.logits(image) - wanted).abs().max() > 1e-3
        again = load_model(tmp_path / "fused.onnx", model=fused)
        torch.testing.assert_close(again.eval().logits(image), wanted)
        torch.testing.assert_close(load_model(tmp_path / "model.onnx").logits(image), model.logits(image))


@pytest.mark.parametrize("nonlinear", [False, True])
def test_value_overfits_sixteen_images(nonlinear):
    torch.manual_seed(0)
    encoder = SmallEncoder()
    inner = FPNDecoder(encoder.feature_info, channels=32)
    decoder = DeconvDecoder(encoder.feature_info, channels=32, nonlinear=nonlinear, decoder=inner)
    assert overfit(encoder, decoder) > 0.95


def test_error_ratio():
    with pytest.raises(ValueError, match="powers of two"):
        DeconvEnlarger(FeatureInfo((4, 4, 4), (2, 4, 12)))


def test_error_features():
    with pytest.raises(ValueError, match="features .*2.*1"):
        DeconvEnlarger(FeatureInfo((4,), (2,)))
