import copy

import pytest
import torch
from torch import nn

from dichoseg import create_model
from dichoseg.inference import winograd
from dichoseg.inference.prepare import prepare_for_inference
from dichoseg.inference.winograd import WinogradConv2d, use_winograd, winograd_conv2d

CPU = torch.device("cpu")


@pytest.fixture
def avx2(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)


@pytest.mark.parametrize("size", [(65, 97), (64, 96), (1, 1), (3, 1030), (130, 6)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_value_convolution_is_torchs(size, layout):
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, padding=1).double()
    features = torch.randn(2, 5, *size).contiguous(memory_format=layout)
    with torch.no_grad():
        expected = conv(features.double())
        weight, bias = conv.weight.float(), conv.bias.float()
        torch.testing.assert_close(winograd_conv2d(features, weight, bias).double(), expected, rtol=0, atol=2e-5)
        without = winograd_conv2d(features, weight, None).double()
        torch.testing.assert_close(without, expected - conv.bias[:, None, None], rtol=0, atol=2e-5)


def test_value_rounding_does_not_grow_with_channels():
    torch.manual_seed(0)
    conv = nn.Conv2d(512, 64, 3, padding=1)
    features = torch.randn(1, 512, 32, 32)
    with torch.no_grad():
        expected = conv.double()(features.double())
        found = winograd_conv2d(features, conv.weight.float(), conv.bias.float())
    assert float((found - expected).abs().max() / expected.abs().max()) < 3e-5


def test_value_suitable_convolutions_are_replaced(avx2):
    layers = {
        "suitable": nn.Conv2d(64, 96, 3, padding=1),
        "no bias": nn.Conv2d(64, 64, 3, padding=1, bias=False),
        "few channels": nn.Conv2d(64, 32, 3, padding=1),
        "stride": nn.Conv2d(64, 64, 3, stride=2, padding=1),
        "dilation": nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        "not padded": nn.Conv2d(64, 64, 3),
        "reflected": nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
        "groups": nn.Conv2d(64, 64, 3, padding=1, groups=2),
        "5 x 5": nn.Conv2d(64, 64, 5, padding=1),
        "another class": type("Other", (nn.Conv2d,), {})(64, 64, 3, padding=1),
    }
    model = nn.ModuleDict(layers)
    use_winograd(model)
    assert [name for name, layer in model.items() if type(layer) is WinogradConv2d] == ["suitable", "no bias"]


@pytest.mark.parametrize("reason", ["capability", "half", "meta"])
def test_value_nothing_is_replaced_where_it_was_not_measured(avx2, monkeypatch, reason):
    conv = nn.Conv2d(64, 64, 3, padding=1)
    if reason == "capability":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    else:
        conv = conv.bfloat16() if reason == "half" else conv.to("meta")
    use_winograd(conv)
    assert type(conv) is nn.Conv2d


def test_value_small_images_are_left_to_torch(avx2, monkeypatch):
    conv = nn.Conv2d(64, 64, 3, padding=1)
    use_winograd(conv)
    calls = []
    monkeypatch.setattr(winograd, "winograd_conv2d", lambda features, *_: calls.append(features.shape) or features)
    with torch.no_grad():
        conv(torch.rand(1, 64, 31, 32))
        conv(torch.rand(1, 64, 32, 32))
    assert calls == [(1, 64, 32, 32)]


def test_value_gradients_are_torchs(avx2):
    conv = nn.Conv2d(64, 64, 3, padding=1)
    features = torch.rand(1, 64, 32, 32, requires_grad=True)
    expected = torch.autograd.grad(conv(features).square().sum(), features)
    use_winograd(conv)
    torch.testing.assert_close(torch.autograd.grad(conv(features).square().sum(), features), expected)


def test_value_prepared_network_uses_it(avx2):
    torch.manual_seed(0)
    model = create_model("isnet", encoder_args={"channels": [64, 64], "mid_channels": [64, 64], "strides": [2, 4]})
    ready = prepare_for_inference(model.eval(), precision="float32", device=CPU)
    replaced = [layer for layer in ready.modules() if isinstance(layer, WinogradConv2d)]
    plain = copy.deepcopy(ready)
    for layer in plain.modules():
        if isinstance(layer, WinogradConv2d):
            layer.__class__ = nn.Conv2d
    image = torch.rand(1, 3, 129, 97)
    with torch.no_grad():
        found, expected = ready.logits(image), plain.logits(image)
    assert len(replaced) > 10
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(layer, WinogradConv2d) for layer in model.modules())
