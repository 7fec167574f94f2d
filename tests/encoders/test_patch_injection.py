import pytest
import torch
from torch import nn

from dichoseg import FeatureInfo, Preprocessing, Segmenter, export_onnx
from dichoseg.contracts import Encoder
from dichoseg.decoders import FPNDecoder, RSUDecoder
from dichoseg.encoders import PatchInjectionEncoder, RSUEncoder, TimmEncoder
from dichoseg.testing import check_encoder

from ..decoders.conftest import SmallEncoder, overfit

NARROW = {"channels": (4, 4, 8), "mid_channels": (2, 2, 4), "strides": (2, 4, 8), "stem_channels": 4}


class Zeros(Encoder):
    """One feature of zeros."""

    def __init__(self, stride, size):
        super().__init__()
        self.feature_info, self.size = FeatureInfo((1,), (stride,)), size

    def forward(self, image):
        return (image.new_zeros(len(image), 1, *self.size),)


def stacked(image, stride, size):
    """What the two convolutions get."""
    encoder = PatchInjectionEncoder(Zeros(stride, size))
    encoder.embed = nn.ModuleList([nn.Identity()])
    feature, patches = encoder(image)[0].split([1, 3 * stride**2], dim=1)
    assert not feature.any()
    return patches


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_value_patches_are_the_images_parts(stride):
    height, width = 3, 5
    image = torch.rand(2, 3, height * stride, width * stride)
    patches = stacked(image, stride, (height, width))
    for row in range(stride):
        for column in range(stride):
            wanted = image[..., row * height : (row + 1) * height, column * width : (column + 1) * width]
            assert torch.equal(patches[:, row * stride + column :: stride**2], wanted)


def test_value_the_image_is_resized_to_whole_patches():
    patches = stacked(torch.tensor([0.0, 1, 2]).expand(1, 3, 2, 3).contiguous(), 2, (1, 2))
    wanted = torch.tensor([[[0, 0.625]], [[1.375, 2]], [[0, 0.625]], [[1.375, 2]]])
    torch.testing.assert_close(patches[0, :4], wanted)


@pytest.mark.parametrize("make", [lambda: RSUEncoder(**NARROW), lambda: TimmEncoder("test_convnext")])
@pytest.mark.parametrize("decoder", [RSUDecoder, FPNDecoder])
@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_shape_with_decoders(make, decoder, size):
    inner = make()
    encoder = PatchInjectionEncoder(inner, channels=6)
    assert encoder.feature_info.channels == tuple(before + 6 for before in inner.feature_info.channels)
    assert encoder.preprocessing == inner.preprocessing
    model = Segmenter(encoder, decoder(encoder.feature_info)).eval()
    image = torch.rand(1, 3, *size)
    assert model(image).logits.shape == (1, 1, *size)
    for feature, before in zip(encoder(image), inner(image), strict=True):
        assert torch.equal(feature[:, : before.shape[1]], before)


@pytest.mark.parametrize("make", [lambda: RSUEncoder(**NARROW), lambda: TimmEncoder("test_resnet")])
def test_value_keeps_to_the_contract(make):
    check_encoder(lambda: PatchInjectionEncoder(make(), channels=4))


@torch.no_grad()
def test_value_layout_answer_and_file(tmp_path):
    torch.manual_seed(0)
    encoder = PatchInjectionEncoder(RSUEncoder(**NARROW), channels=4)
    model = Segmenter(encoder, RSUDecoder(encoder.feature_info), preprocessing=Preprocessing(size=64)).eval()
    image = torch.rand(2, 3, 65, 97)
    wanted = model(image).logits
    torch.testing.assert_close(model.logits(image), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        assert (model.logits(image).float() - wanted).abs().max() < 0.05 * (wanted.max() - wanted.min())
    assert export_onnx(model, tmp_path / "model.onnx", dynamic=True) < 1e-4
    model.to(memory_format=torch.channels_last)
    found = model.logits(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert wanted.std() > 0.005


def test_value_overfits_sixteen_images():
    torch.manual_seed(0)
    encoder = PatchInjectionEncoder(SmallEncoder(), channels=8)
    assert overfit(encoder, FPNDecoder(encoder.feature_info, channels=32)) > 0.95


def test_error_channels():
    with pytest.raises(ValueError, match="channels must be 1 or more; got 0"):
        PatchInjectionEncoder(SmallEncoder(), channels=0)
