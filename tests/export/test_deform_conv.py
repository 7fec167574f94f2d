import onnx
import pytest
import torch
from torch import nn

from dichoseg import Preprocessing, Segmenter, export_onnx
from dichoseg.decoders import BilateralReferenceDecoder
from dichoseg.deformable import DeformConv2d
from dichoseg.encoders import ImageReference, TimmEncoder
from dichoseg.export.deform_conv import has_deform_conv


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
