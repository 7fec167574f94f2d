import pytest
import torch
from torch import nn

from dichoseg import FeatureInfo, Preprocessing, Segmenter, create_model, export_onnx, load_model
from dichoseg.decoders import FPNDecoder
from dichoseg.encoders import RSUEncoder, TimmEncoder
from dichoseg.testing import check_decoder

from .conftest import SmallEncoder, overfit


def timm_fpn(name="test_resnet"):
    torch.manual_seed(0)
    return create_model(
        "isnet",
        encoder=f"timm:{name}",
        decoder="fpn",
        decoder_args={"channels": 16},
        preprocessing=Preprocessing(size=64),
    ).eval()


@pytest.mark.parametrize(
    "make",
    [
        lambda: RSUEncoder(channels=(4,) * 6, mid_channels=(2,) * 6, stem_channels=4),
        lambda: RSUEncoder(channels=(4,) * 6, mid_channels=(2,) * 6, strides=(1, 2, 4, 8, 16, 32)),
        lambda: TimmEncoder("test_resnet"),
        lambda: TimmEncoder("test_convnext"),
        lambda: TimmEncoder("test_resnet", out_indices=[2]),
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_shape_behind_encoders(make, size):
    encoder = make()
    decoder = FPNDecoder(encoder.feature_info, channels=8)
    assert decoder.feature_info == ((8,) * len(encoder.feature_info.channels), encoder.feature_info.strides)
    image = torch.rand(1, 3, *size)
    prediction = Segmenter(encoder, decoder).eval()(image)
    assert prediction.logits.shape == (1, 1, *size)
    skips = encoder(image)
    assert [f.shape for f in prediction.features] == [(1, 8, *skip.shape[-2:]) for skip in skips]


@torch.no_grad()
def test_value_sums_from_the_coarsest_up():
    decoder = FPNDecoder(FeatureInfo((1, 1, 1), (1, 2, 4)), channels=1)
    for lateral, factor in zip(decoder.lateral, (1, 10, 100), strict=True):
        nn.init.constant_(lateral.weight, factor)
        nn.init.zeros_(lateral.bias)
    decoder.smooth = nn.ModuleList(nn.Identity() for _ in decoder.smooth)
    fine, middle, coarse = decoder(
        (torch.full((1, 1, 2, 4), 3.0), torch.full((1, 1, 1, 2), 2.0), torch.ones(1, 1, 1, 1))
    )
    assert (float(coarse), middle.flatten().tolist()) == (100, [120, 120])
    assert fine.tolist() == [[[[123] * 4] * 2]]


@torch.no_grad()
def test_value_sums_are_linear_and_resized_bilinearly():
    decoder = FPNDecoder(FeatureInfo((1, 1), (1, 2)), channels=1)
    decoder.smooth = nn.ModuleList(nn.Identity() for _ in decoder.smooth)
    for lateral in decoder.lateral:
        nn.init.constant_(lateral.weight, 1)
        nn.init.zeros_(lateral.bias)
    fine, _ = decoder((torch.zeros(1, 1, 1, 4), torch.tensor([[[[-4.0, 4.0]]]])))
    assert fine.tolist() == [[[[-4, -2, 2, 4]]]]


def test_value_size_of_the_published_width():
    with torch.device("meta"):
        decoder = FPNDecoder(FeatureInfo((256, 512, 1024, 2048), (4, 8, 16, 32)), channels=256)
    laterals, batch_norms = (256 + 512 + 1024 + 2048 + 4) * 256, 4 * 2 * 256
    assert sum(p.numel() for p in decoder.parameters()) == laterals + 4 * (9 * 256 + 1) * 256 + batch_norms


def test_value_keeps_to_the_contract():
    check_decoder(lambda info: FPNDecoder(info, channels=8))


@torch.no_grad()
def test_value_layout_and_answer():
    model = timm_fpn()
    image = torch.rand(2, 3, 65, 97)
    wanted = model(image).logits
    torch.testing.assert_close(model.logits(image), wanted)
    strided = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        strided.logits(image.to(memory_format=torch.channels_last)), wanted, rtol=1e-4, atol=1e-5
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert (model.logits(image).float() - wanted).abs().max() < 0.05 * (wanted.max() - wanted.min())
    assert wanted.std() > 0.01


@pytest.mark.parametrize("encoder", ["test_resnet", "test_convnext"])
def test_value_onnx_file(tmp_path, encoder):
    assert export_onnx(timm_fpn(encoder), tmp_path / "model.onnx", dynamic=True) < 1e-4


def test_value_onnx_file_reads_back(tmp_path):
    """The convolutions of the coarser features are for side outputs alone, and not in the file."""
    model = timm_fpn()
    export_onnx(model, tmp_path / "model.onnx")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path / "model.onnx").logits(image), model.logits(image))


def test_value_overfits_sixteen_images():
    torch.manual_seed(0)
    encoder = SmallEncoder()
    assert overfit(encoder, FPNDecoder(encoder.feature_info, channels=32)) > 0.95


def test_error_channels():
    with pytest.raises(ValueError, match="channels .*0"):
        FPNDecoder(FeatureInfo((4, 8), (2, 4)), channels=0)
