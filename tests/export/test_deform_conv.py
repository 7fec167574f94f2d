import onnx
import pytest
import torch
from torch import nn

from dichoseg import Preprocessing, Segmenter, export_onnx
from dichoseg.decoders import BilateralReferenceDecoder
from dichoseg.deformable import DeformConv2d
from dichoseg.encoders import ImageReference, TimmEncoder
from dichoseg.export.deform_conv import GridSampleConv2d, has_deform_conv, sample_by_grid

from .conftest import Gray


def network(deformable):
    torch.manual_seed(0)
    encoder = ImageReference(TimmEncoder("test_resnet"))
    decoder = BilateralReferenceDecoder(encoder.feature_info, deformable=deformable)
    for module in decoder.modules():
        if isinstance(module, DeformConv2d):
            nn.init.normal_(module.offset.bias)
            nn.init.normal_(module.modulator.bias)
    return Segmenter(encoder, decoder, preprocessing=Preprocessing(size=64)).eval()


@pytest.mark.parametrize("half", [False, True])
def test_value_native_operator_at_any_size(tmp_path, half):
    model = network(deformable=True)
    assert export_onnx(model, tmp_path / "model.onnx", dynamic=True, half=half) < (1e-2 if half else 1e-5)
    file = onnx.load(tmp_path / "model.onnx")
    assert file.opset_import[0].version == 19
    convolutions = [node for node in file.graph.node if node.op_type == "DeformConv"]
    assert len(convolutions) == sum(isinstance(module, DeformConv2d) for module in model.modules())
    halves = {tensor.name for tensor in file.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    assert all((f"{node.input[1]}.half" in halves) == half for node in convolutions)


def test_value_other_networks_keep_their_opset(tmp_path):
    model = network(deformable=False)
    assert not has_deform_conv(model)
    export_onnx(model, tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 17


@pytest.mark.parametrize("half", [False, True])
def test_value_samples_at_any_size(tmp_path, half):
    torch.manual_seed(0)
    model = Gray()
    model.conv = DeformConv2d(3, 1)
    nn.init.normal_(model.conv.offset.weight)
    path = tmp_path / "model.onnx"
    assert export_onnx(model, path, dynamic=True, half=half, deform_conv="grid_sample") < (1e-2 if half else 1e-5)
    assert has_deform_conv(model)
    file = onnx.load(path)
    assert file.opset_import[0].version == 17
    operators = [node.op_type for node in file.graph.node]
    assert operators.count("GridSample") == 1
    assert "DeformConv" not in operators
    halves = [tensor.name for tensor in file.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16]
    assert ("conv.weight.half" in halves) == half


@pytest.mark.parametrize("size", [(13, 17), (64, 80), (1, 1)])
@pytest.mark.parametrize("side", [1, 3, 7])
def test_value_samples_are_torchvisions(side, size):
    torch.manual_seed(0)
    convolution, features = DeformConv2d(5, 7, kernel_size=side), torch.randn(2, 5, *size)
    nn.init.normal_(convolution.offset.weight, std=0.5)
    nn.init.normal_(convolution.modulator.bias)
    torch.testing.assert_close(GridSampleConv2d(convolution)(features), convolution(features), rtol=0, atol=2e-5)


def test_value_weights_keep_their_names():
    model = network(deformable=True)
    names = list(model.state_dict())
    sample_by_grid(model)
    assert not has_deform_conv(model)
    assert set(model.state_dict()) == set(names)


def test_error_unknown_form(tmp_path):
    with pytest.raises(ValueError, match="deform_conv.*'gather'"):
        export_onnx(network(deformable=True), tmp_path / "model.onnx", deform_conv="gather")
