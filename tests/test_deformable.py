import pytest
import torch
from torch import nn

from dichoseg import deformable
from dichoseg.deformable import ASPP, ASPPBlock, DeformConv2d


def test_value_a_new_layer_is_a_plain_convolution():
    layer, features = DeformConv2d(3, 5, kernel_size=3), torch.randn(2, 3, 7, 9)
    torch.testing.assert_close(layer(features), nn.functional.conv2d(features, layer.weight, padding=1))


def test_value_offsets_are_rows_then_columns_of_each_tap():
    layer = DeformConv2d(1, 1, kernel_size=1)
    nn.init.ones_(layer.weight)
    layer.offset.bias.data = torch.tensor([1.0, 2.0])  # one row down, two columns right
    layer.modulator.bias.data.fill_(torch.logit(torch.tensor(0.25)))  # a mask of a half
    image = torch.arange(20.0).view(1, 1, 4, 5)
    expected = torch.zeros(1, 1, 4, 5)
    expected[..., :3, :3] = image[..., 1:, 2:] / 2
    torch.testing.assert_close(layer(image), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_value_dtypes(dtype):
    torch.manual_seed(0)
    layer, features = DeformConv2d(3, 5), torch.randn(1, 3, 7, 9)
    nn.init.normal_(layer.offset.bias)
    with torch.no_grad():
        wanted = layer(features)
        found = layer.to(dtype)(features.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradient_under_autocast(dtype):
    layer = DeformConv2d(3, 5)
    with torch.autocast("cpu", dtype):
        result = layer(torch.randn(1, 3, 7, 9))
    result.square().mean().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    assert layer.offset.bias.grad.any()


@pytest.mark.parametrize("side", [1, 3, 7])
@pytest.mark.parametrize("spread", [0.5, 5.0, 1e6])
def test_value_inference_on_a_cpu_is_torchvisions(side, spread, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(deformable, "CHUNK", 4000)
    layer, features = DeformConv2d(5, 7, kernel_size=side), torch.randn(2, 5, 13, 17)
    nn.init.normal_(layer.offset.weight, std=spread)
    nn.init.normal_(layer.modulator.bias)
    wanted = layer(features)
    with torch.no_grad():
        assert deformable._is_cpu_inference(features)
        torch.testing.assert_close(layer(features), wanted, rtol=0, atol=2e-5)
        layer(features * torch.nan)  # no error


def test_error_even_kernel():
    with pytest.raises(ValueError, match="kernel_size .*2"):
        DeformConv2d(3, 5, kernel_size=2)


@pytest.mark.parametrize("deformable", [True, False])
def test_shape_aspp(deformable):
    aspp = ASPP(4, 6, mid_channels=8, deformable=deformable)
    kinds = [type(branch[0]) for branch in aspp.branches]
    assert kinds == [DeformConv2d if deformable else nn.Conv2d] * 4
    assert [branch[0].weight.shape[-1] for branch in aspp.branches] == ([1, 1, 3, 7] if deformable else [1, 3, 3, 3])
    assert aspp(torch.randn(2, 4, 5, 7)).shape == (2, 6, 5, 7)


def test_error_one_image_in_training():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        ASPP(4, 6, mid_channels=8)(torch.randn(1, 4, 5, 7))


def test_value_block_has_no_activation_at_its_end():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 5, 7)
    plain, residual = ASPPBlock(4, 6).eval(), ASPPBlock(4, 6, residual=True).eval()
    residual.load_state_dict(plain.state_dict(), strict=False)
    assert (plain(features) < 0).any()
    torch.testing.assert_close(residual(features), plain(features) + residual.shortcut(features))
