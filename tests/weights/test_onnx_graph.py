import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from dichoseg.weights.onnx_graph import read_onnx

from ..graphs import export


def test_value_names_numbers_and_biases(varied_isnet, tmp_path):
    graph = read_onnx(export(varied_isnet, tmp_path / "m.onnx"))
    assert graph.precision == "float32"
    assert graph.layers[0].name == "network.encoder.stem"
    assert torch.equal(graph.layers[0].tensors["weight"], varied_isnet.encoder.stem.weight)
    assert graph.layers[1].name == "network.encoder.stages.0.entry.conv"
    numbers = [layer.number for layer in graph.layers if layer.number is not None]
    assert numbers == sorted(numbers)
    assert all(set(layer.tensors) == {"weight", "bias"} for layer in graph.layers)


def test_value_batch_norm_that_is_not_folded(varied_isnet, tmp_path):
    path = export(varied_isnet, tmp_path / "m.onnx", do_constant_folding=False)
    layers = {layer.name: layer.tensors for layer in read_onnx(path).layers}
    norm = varied_isnet.encoder.stages[0].entry.norm
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        assert torch.equal(layers["network.encoder.stages.0.entry.norm"][leaf], getattr(norm, leaf))


def one_convolution(weight, *, inputs=(), nodes=(), weight_name="conv.weight"):
    """A graph of one convolution whose weight is made by `nodes`."""
    node = helper.make_node("Conv", ["x", weight_name], ["y"], name="/conv/Conv")
    graph = helper.make_graph(
        [*nodes, node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in {**weight, **dict(inputs)}.items()],
    )
    return helper.make_model(graph)


def read(model, tmp_path):
    onnx.save(model, tmp_path / "m.onnx")
    return read_onnx(tmp_path / "m.onnx")


def test_value_half_precision_subnormals_survive(tmp_path):
    value = np.full((3, 2, 1, 1), 6e-8, np.float16)
    graph = read(one_convolution({"conv.weight": value}), tmp_path)
    assert graph.precision == "16-bit"
    assert graph.layers[0].tensors["weight"].flatten()[0].item() == float(np.float16(6e-8)) > 0
    cast = helper.make_node("Cast", ["half"], ["conv.weight"], to=TensorProto.FLOAT)
    graph = read(one_convolution({"half": value}, nodes=[cast]), tmp_path)
    assert graph.layers[0].name == "conv"
    assert graph.precision == "16-bit"


@pytest.mark.parametrize("axis", [None, 0])
def test_value_dequantised_weights(tmp_path, axis):
    quantised = np.array([[[[0]], [[128]]], [[[255]], [[130]]]], np.uint8)
    scale = np.float32(0.5) if axis is None else np.array([0.5, 2], np.float32)
    zero_point = np.uint8(128) if axis is None else np.array([128, 100], np.uint8)
    node = helper.make_node(
        "DequantizeLinear", ["q", "s", "z"], ["conv.weight"], **({} if axis is None else {"axis": 0})
    )
    model = one_convolution({"q": quantised, "s": np.asarray(scale), "z": np.asarray(zero_point)}, nodes=[node])
    graph = read(model, tmp_path)
    wanted = [-64, 0, 63.5, 1] if axis is None else [-64, 0, 310, 60]
    assert graph.layers[0].tensors["weight"].flatten().tolist() == wanted
    assert graph.precision == "8-bit"


@pytest.mark.parametrize("per_channel", [False, True])
def test_value_dynamically_quantised(varied_isnet, tmp_path, per_channel):
    from onnxruntime.quantization import quantize_dynamic

    whole = read_onnx(export(varied_isnet, tmp_path / "m.onnx")).layers
    quantize_dynamic(tmp_path / "m.onnx", tmp_path / "q.onnx", per_channel=per_channel)
    graph = read_onnx(tmp_path / "q.onnx")
    assert graph.precision == "8-bit"
    quantised = {layer.name: layer.tensors for layer in graph.layers}
    assert len(quantised) == len(whole)
    for layer in whole:
        weight, other = layer.tensors["weight"], quantised[layer.name]["weight"]
        assert (weight - other).abs().max() <= weight.abs().max() / 127
        assert torch.equal(layer.tensors["bias"], quantised[layer.name]["bias"])


def followed_by(*nodes, **constants):
    """A convolution of two channels, weight 1 and bias 1, and what follows it."""
    model = one_convolution({"conv.weight": np.ones((2, 2, 1, 1), np.float32), "conv.bias": np.ones(2, np.float32)})
    model.graph.node[0].input.append("conv.bias")
    del model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def test_value_what_follows_a_convolution_goes_into_it(tmp_path):
    factor = np.array([2, 3], np.float32).reshape(1, 2, 1, 1)
    mul = helper.make_node("Mul", ["y", "factor"], ["z"])
    add = helper.make_node("Add", ["summand", "z"], ["out"])
    layers = read(followed_by(mul, add, factor=factor, summand=np.float32(5)), tmp_path).layers
    assert layers[0].tensors["weight"].flatten().tolist() == [2, 2, 3, 3]
    assert layers[0].tensors["bias"].tolist() == [7, 8]
    used_elsewhere = helper.make_node("Relu", ["y"], ["other"])
    layers = read(followed_by(mul, used_elsewhere, factor=factor), tmp_path).layers
    assert layers[0].tensors["bias"].tolist() == [1, 1]


def test_error_a_factor_for_each_pixel(tmp_path):
    mul = helper.make_node("Mul", ["y", "factor"], ["z"])
    with pytest.raises(ValueError, match=r"m.onnx cannot be read: a convolution is followed by Mul .* \(1, 1, 4, 4\)"):
        read(followed_by(mul, factor=np.ones((1, 1, 4, 4), np.float32)), tmp_path)


def test_error_optimised_for_one_machine(tmp_path):
    model = followed_by()
    model.graph.node[0].domain = "com.microsoft.nchwc"
    with pytest.raises(ValueError, match=r"optimized for one machine \(com.microsoft.nchwc\)"):
        read(model, tmp_path)


def test_error_graphs(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(one_convolution({"conv.weight": np.zeros((300, 2, 3, 3), np.float32)}), path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match="m.onnx is not a readable ONNX file, or is incomplete"):
        read_onnx(path)
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], []))
    onnx.save(model, path)
    with pytest.raises(ValueError, match="m.onnx holds no convolution whose weights can be read; it has Relu"):
        read_onnx(path)
