import json
import logging
import re
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from dichoseg import Preprocessing, Segmenter, create_model, load_model, save_model
from dichoseg.decoders import FPNDecoder, RSUDecoder
from dichoseg.encoders import RSUEncoder, TimmEncoder
from dichoseg.training import freeze_batch_norm, is_uncalibrated
from dichoseg.untrusted import UnusableFileError
from dichoseg.weights import convert_weights, load_weights
from dichoseg.weights.format import METADATA_KEY, config_of
from dichoseg.weights.matching import published_records

from ..graphs import as_authors_export, export


def authors_state(model, name="isnet"):
    """A state dict under the authors' names."""
    theirs = {ours: author for author, ours in dict(published_records())[name].names.items()}
    state = {}
    for key, value in model.state_dict().items():
        module, _, leaf = key.rpartition(".")
        state[f"{theirs[module]}.{leaf}"] = value
    return state


def loaded(model, path):
    return create_model(**model.recipe, weights=path).eval()


def same(one, other):
    return all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


def test_value_a_size_that_replaces_the_rest_is_told(caplog):
    def told(preprocessing, name="u2netp"):
        caplog.clear()
        create_model(name, preprocessing=preprocessing)
        return caplog.text

    text = told(Preprocessing(size=64))
    assert "replaces the model's own " in text
    assert "mean (0.485, 0.456, 0.406)" in text
    assert "create_model(size=64) keeps it" in text
    assert "antialias False, to_uint8 True; create_model(size=64)" in told(Preprocessing(size=64), "isnet")
    assert not told(Preprocessing(size=64, mean=(0.4,)))
    assert not told(create_model("u2netp").preprocessing.with_size(64))


@pytest.mark.parametrize("counters", [True, False])
@pytest.mark.parametrize("wrapper", ["", "module.", "net.", "_orig_mod.", "module.net._orig_mod.", "m.backbone."])
def test_value_authors_names_behind_wrappers(varied_isnet, tmp_path, wrapper, counters):
    state = {
        f"{wrapper}{key}": value
        for key, value in authors_state(varied_isnet).items()
        if counters or not key.endswith("num_batches_tracked")
    }
    torch.save(state, tmp_path / "w.pth")
    assert same(varied_isnet, loaded(varied_isnet, tmp_path / "w.pth"))


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_value_own_names(varied_isnet, tmp_path, wrapper):
    torch.save({f"{wrapper}{key}": value for key, value in varied_isnet.state_dict().items()}, tmp_path / "w.pth")
    assert same(varied_isnet, loaded(varied_isnet, tmp_path / "w.pth"))


def test_value_lightning_checkpoint_with_a_gt_encoder_beside(varied_isnet, tmp_path, caplog):
    state = {f"net.{key}": value for key, value in authors_state(varied_isnet).items()}
    state |= {f"gt_encoder.{key}": value + 1 for key, value in authors_state(varied_isnet).items() if "stage1." in key}
    state |= {"loss.weight": torch.ones(1)}
    torch.save({"state_dict": state, "epoch": 3, "hyper_parameters": {"lr": 1e-3}}, tmp_path / "w.ckpt")
    with caplog.at_level(logging.WARNING):
        assert same(varied_isnet, loaded(varied_isnet, tmp_path / "w.ckpt"))
    assert re.search(r"also holds \d+ tensors of something else, which are ignored \(gt_encoder.", caplog.text)


def test_value_state_dict_with_metadata_lacks_counters(varied_isnet, tmp_path):
    state = varied_isnet.state_dict()
    for key in [key for key in state if key.endswith("num_batches_tracked")]:
        del state[key]
    torch.save(state, tmp_path / "w.pth")
    assert same(varied_isnet, loaded(varied_isnet, tmp_path / "w.pth"))


def test_value_half_precision_is_widened(varied_isnet, tmp_path):
    torch.save({key: value.half() for key, value in varied_isnet.state_dict().items()}, tmp_path / "w.pth")
    model = loaded(varied_isnet, tmp_path / "w.pth")
    assert model.encoder.stem.weight.dtype == torch.float32
    assert torch.equal(model.encoder.stem.weight, varied_isnet.encoder.stem.weight.half().float())


def test_value_folder_and_its_file_bring_their_preprocessing(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "best")
    for path in (tmp_path, tmp_path / "best", tmp_path / "best/model.safetensors"):
        model = create_model(**small_isnet.recipe, weights=path)
        assert same(small_isnet, model)
        assert model.preprocessing.size == 64
    other = create_model(**small_isnet.recipe, weights=tmp_path, preprocessing=Preprocessing(size=32))
    assert other.preprocessing.size == 32


AS_EXPORTED = {
    "by node path": {},
    "by number": {"node_names": False},
    "by plain number": {"node_names": False, "plain_numbers": True},
    "nodes in another order": {"node_names": False, "shuffled": True},
}


@pytest.mark.parametrize("how", AS_EXPORTED)
def test_value_folded_graph(varied_isnet, tmp_path, how):
    path = as_authors_export(export(varied_isnet, tmp_path / "m.onnx"), **AS_EXPORTED[how])
    model = loaded(varied_isnet, path)
    assert is_uncalibrated(model)
    image = torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        one, two = varied_isnet(image), model(image)
    for a, b in zip((one.logits, *one.side_logits), (two.logits, *two.side_logits), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{"do_constant_folding": False}, {"training": torch.onnx.TrainingMode.PRESERVE}])
def test_value_graph_with_batch_norm(varied_isnet, tmp_path, options):
    model = loaded(varied_isnet, export(varied_isnet, tmp_path / "m.onnx", **options))
    assert not is_uncalibrated(model)
    assert same(varied_isnet, model)


def test_value_half_precision_graph(varied_isnet, tmp_path):
    path = export(varied_isnet, tmp_path / "m.onnx")
    graph = onnx.load(path)
    for tensor in graph.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    onnx.save(graph, path)
    model = loaded(varied_isnet, path)
    assert torch.equal(model.encoder.stem.weight, varied_isnet.encoder.stem.weight.half().float())


def test_value_graph_of_convolutions_without_bias(tmp_path):
    model = create_model("isnet", encoder="timm:test_resnet").eval()
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            value.copy_(torch.rand(value.shape))
    other = loaded(model, export(model, tmp_path / "m.onnx"))
    assert isinstance(other.encoder, TimmEncoder)
    assert is_uncalibrated(other.encoder)
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(model.logits(image), other.logits(image), rtol=1e-4, atol=1e-5)


def test_value_graph_that_dichoseg_exported_brings_recipe_and_preprocessing(varied_isnet, tmp_path):
    path = export(varied_isnet, tmp_path / "m.onnx")
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {METADATA_KEY: json.dumps(config_of(varied_isnet))})
    onnx.save(graph, path)
    for model in (load_model(path), loaded(varied_isnet, path)):
        assert model.preprocessing == varied_isnet.preprocessing
        assert model.recipe == varied_isnet.recipe
        assert is_uncalibrated(model)


def test_value_graph_without_biases_of_zero(varied_isnet, tmp_path):
    varied_isnet.heads.sides[1].bias.data.zero_()
    path = export(varied_isnet, tmp_path / "m.onnx")
    graph = onnx.load(path)
    for node in graph.graph.node:
        if node.op_type == "Conv" and node.input[2] == "network.heads.sides.1.bias":
            del node.input[2]
    onnx.save(graph, path)
    assert loaded(varied_isnet, path).heads.sides[1].bias.item() == 0


def maps(model, image):
    with torch.no_grad():
        prediction = model(image)
    return torch.cat([prediction.logits.flatten(), *(side.flatten() for side in prediction.side_logits)])


@pytest.mark.parametrize("make", [lambda: create_model("isnet", encoder="timm:test_resnet"), None], ids=["timm", "rsu"])
def test_value_graph_of_frozen_batch_norm(make, varied_isnet, tmp_path):
    """It is a product and a sum in the graph, not a batch norm."""
    model = varied_isnet if make is None else make().eval()
    freeze_batch_norm(model)
    path = export(model, tmp_path / "m.onnx")
    assert not any(node.op_type == "BatchNormalization" for node in onnx.load(path).graph.node)
    image = torch.rand(1, 3, 65, 97)
    torch.testing.assert_close(maps(loaded(model, path), image), maps(model, image), rtol=1e-4, atol=1e-5)


def bias_as_sum(graph, convolution):
    """Write a convolution's bias as a sum behind it, as some optimisers do."""
    (node,) = [node for node in graph.node if node.op_type == "Conv" and convolution in node.name]
    bias = next(tensor for tensor in graph.initializer if tensor.name == node.input[2])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias).reshape(-1, 1, 1), bias.name))
    graph.node.append(onnx.helper.make_node("Add", ["before_bias", bias.name], [node.output[0]]))
    del node.input[2]
    node.output[0] = "before_bias"


def test_value_bias_as_a_sum(varied_isnet, tmp_path):
    path = export(varied_isnet, tmp_path / "m.onnx")
    model = onnx.load(path)
    bias_as_sum(model.graph, "encoder/stages.1/entry/conv")
    onnx.save(model, path)
    image = torch.rand(1, 3, 65, 97)
    torch.testing.assert_close(maps(loaded(varied_isnet, path), image), maps(varied_isnet, image), rtol=1e-4, atol=1e-5)


def test_value_epsilon_of_the_graph(varied_isnet, tmp_path):
    path = export(varied_isnet, tmp_path / "m.onnx", do_constant_folding=False)
    model = onnx.load(path)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "BatchNormalization" and attribute.name == "epsilon":
                attribute.f = 1e-2
    onnx.save(model, path)
    for norm in varied_isnet.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.eps = 1e-2
    image = torch.rand(1, 3, 65, 97)
    torch.testing.assert_close(maps(loaded(varied_isnet, path), image), maps(varied_isnet, image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("node_names", [True, False])
def test_error_other_dilation(varied_isnet, tmp_path, node_names):
    path = as_authors_export(export(varied_isnet, tmp_path / "m.onnx"), node_names=node_names)
    model = onnx.load(path)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "dilations" and list(attribute.ints) == [2, 2]:
                attribute.ints[:] = [1, 1]
    onnx.save(model, path)
    message = r"stage1.rebnconv7.conv_s1 dilation \(1, 1\) for \(2, 2\)" if node_names else "convolutions without names"
    with pytest.raises(ValueError, match=message):
        loaded(varied_isnet, path)


def test_error_numbers_out_of_order(varied_isnet, tmp_path):
    path = as_authors_export(export(varied_isnet, tmp_path / "m.onnx"), node_names=False)
    model = onnx.load(path)
    names = [tensor.name for tensor in model.graph.initializer if tensor.name.startswith("onnx::Conv")][::2]
    # the last dilated convolution of the first stage and the plain one before it are of one shape
    swapped = {names[6]: names[7], names[7]: names[6]}
    for item in [*model.graph.initializer]:
        item.name = swapped.get(item.name, item.name)
    for node in model.graph.node:
        node.input[:] = [swapped.get(name, name) for name in node.input]
    onnx.save(model, path)
    with pytest.raises(ValueError, match="62 convolutions without names"):
        loaded(varied_isnet, path)


def test_error_two_layers_of_one_name(varied_isnet, tmp_path):
    path = export(varied_isnet, tmp_path / "m.onnx")
    model = onnx.load(path)
    node = next(node for node in model.graph.node if node.name.endswith("stages.1/entry/conv/Conv"))
    other = onnx.helper.make_node("Conv", [node.input[0], "other"], ["unused"], name=node.name)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    model.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(weight) + 1, "other"))
    model.graph.node.append(other)
    onnx.save(model, path)
    with pytest.raises(ValueError, match="holds two layers called network.encoder.stages.1.entry.conv, with different"):
        loaded(varied_isnet, path)


def test_error_two_networks_of_one_kind(varied_isnet, tmp_path):
    state = authors_state(varied_isnet)
    both = {f"ema.{key}": value + 1 for key, value in state.items()} | {f"net.{key}": v for key, v in state.items()}
    torch.save(both, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="two networks of one kind, behind 'ema' and 'net'"):
        loaded(varied_isnet, tmp_path / "w.pth")
    # nothing is taken from behind another wrapper
    mixed = {f"net.{key}": v for key, v in state.items() if "stage2." not in key}
    mixed |= {f"aux.{key}": v for key, v in state.items() if "stage2." in key}
    torch.save(mixed, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="missing .*stage2.rebnconvin"):
        loaded(varied_isnet, tmp_path / "w.pth")


def test_value_graph_of_the_answer_alone(varied_isnet, tmp_path, caplog):
    path = export(varied_isnet, tmp_path / "m.onnx", answer_alone=True)
    with caplog.at_level(logging.WARNING):
        model = loaded(varied_isnet, path)
    assert "4 tensors of other heads keep their present values (heads.sides.1.bias, ...)" in caplog.text
    image = torch.rand(1, 3, 65, 97)
    torch.testing.assert_close(model.logits(image), varied_isnet.logits(image), rtol=1e-5, atol=1e-6)


def test_error_file_of_another_network(tmp_path):
    torch.save(authors_state(create_model("u2netp"), "u2netp"), tmp_path / "w.pth")
    model = create_model("isnet")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    message = (
        r"w.pth \(torch checkpoint\) does not fit this model \(isnet\): missing 2 \(conv_in.weight, conv_in.bias\); "
        r"unexpected 2 \(outconv.weight, outconv.bias\); other shapes \d+ \(stage1.rebnconvin.conv_s1.weight "
        r"\(64, 3, 3, 3\) for \(64, 64, 3, 3\), .*; it holds u2netp: create_model\('u2netp', weights=...\)"
    )
    with pytest.raises(ValueError, match=message):
        load_weights(model, tmp_path / "w.pth")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_error_files_that_do_not_fit(varied_isnet, tmp_path):
    state = authors_state(varied_isnet)
    torch.save({key: value for key, value in state.items() if "stage1d" not in key}, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"missing 84 \(stage1d.rebnconvin.conv_s1.weight, .*none of the published"):
        loaded(varied_isnet, tmp_path / "part.pth")
    torch.save(torch.nn.Linear(1, 1).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"unexpected 2 \(weight, bias\); it looks like none"):
        loaded(varied_isnet, tmp_path / "other.pth")


def test_error_graph_of_another_architecture(varied_isnet, tmp_path):
    other = create_model("isnet", encoder="timm:test_resnet")
    path = export(other, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other.onnx \(ONNX, float32\) does not fit this model \(isnet\): missing"):
        loaded(varied_isnet, path)
    path = as_authors_export(export(varied_isnet, tmp_path / "m.onnx"), node_names=False)
    with pytest.raises(ValueError, match="62 convolutions without names"):
        create_model("u2net", weights=path)


FIRST = Path(__file__).parents[1] / "golden/checkpoint_1"


def composed():
    encoder = RSUEncoder(channels=(4, 8), mid_channels=(2, 4), strides=(2, 4), stem_channels=4)
    return Segmenter(encoder, RSUDecoder(encoder.feature_info), preprocessing=Preprocessing(size=64))


def test_value_first_format_loads_ever_after():
    model = load_model(FIRST)
    assert model.preprocessing.size == 64
    expected = np.load(FIRST / "expected.npz")
    with torch.no_grad():
        logits = model.logits(torch.from_numpy(expected["image"]))
    torch.testing.assert_close(logits, torch.from_numpy(expected["logits"]), rtol=1e-4, atol=1e-5)


def test_value_composed_model_needs_the_composition(tmp_path):
    model = composed()
    save_model(model, tmp_path)
    with pytest.raises(ValueError, match=r"load_model\(path, model=mine\)"):
        load_model(tmp_path)
    other = load_model(tmp_path, model=composed())
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(model.eval().logits(image), other.logits(image))


def test_value_file_of_a_published_network(tmp_path):
    model = create_model("u2netp").eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    loaded = load_model(tmp_path / "w.pth")
    assert loaded.recipe == {"name": "u2netp"}
    assert not loaded.training
    assert torch.equal(loaded.heads.fuse.weight, model.heads.fuse.weight)
    with pytest.raises(ValueError, match="is on this machine, so it has no revisions"):
        load_model(tmp_path / "w.pth", revision="v1")


def test_value_weights_file_of_a_saved_model_is_that_model(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path)
    assert load_model(tmp_path / "model.safetensors").preprocessing.size == 64
    torch.save(small_isnet.state_dict(), tmp_path / "w.pth")
    other = load_model(tmp_path / "w.pth", model=create_model(**small_isnet.recipe))
    assert torch.equal(other.encoder.stem.weight, small_isnet.encoder.stem.weight)


PLUGIN = """
from dichoseg.decoders import RSUDecoder as Base

def Small(feature_info):
    return Base(feature_info, mid_channels=[4] * (len(feature_info.channels) - 1))
"""


@pytest.fixture
def plugin(tmp_path, install):
    """A package with a decoder, as pip would have installed it."""
    install("acme-decoders", "[dichoseg.decoders]\nacme = acme_decoders:Small\n", acme_decoders=PLUGIN)
    return tmp_path / "site"


def test_error_missing_plugin_names_its_package(small_isnet, tmp_path, plugin, monkeypatch):
    arguments = {key: value for key, value in small_isnet.recipe.items() if key != "decoder"}
    save_model(create_model(**arguments, decoder="acme"), tmp_path / "m")
    assert json.loads((tmp_path / "m/config.json").read_text())["recipe"]["decoder"] == "acme-decoders/acme"
    assert load_model(tmp_path / "m").decoder is not None
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry != str(plugin)])
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.distribution("acme-decoders")
    missing = "package acme-decoders, which is not installed: .*; made with acme-decoders 1.5, not installed$"
    with pytest.raises(UnusableFileError, match=missing):
        load_model(tmp_path / "m")


def test_error_another_version_of_a_plugin_is_named(small_isnet, tmp_path, plugin):
    arguments = {key: value for key, value in small_isnet.recipe.items() if key != "decoder"}
    save_model(create_model(**arguments, decoder="acme"), tmp_path / "m")
    info = plugin / "acme_decoders-1.5.dist-info/METADATA"
    info.write_text(info.read_text().replace("1.5", "2.0"))
    load_model(tmp_path / "m")  # it fits nevertheless
    sys.modules["acme_decoders"].Small = lambda feature_info: FPNDecoder(feature_info)
    with pytest.raises(UnusableFileError, match=r"does not fit.*; made with acme-decoders 1.5, installed 2.0$"):
        load_model(tmp_path / "m")


def test_value_recognised_and_saved(tmp_path):
    model = create_model("u2netp").eval()
    torch.save(authors_state(model, "u2netp"), tmp_path / "u2netp.pth")
    converted, stored = convert_weights(tmp_path / "u2netp.pth", tmp_path / "m")
    assert converted.recipe == {"name": "u2netp"}
    assert stored.kind == "torch checkpoint"
    other = load_model(tmp_path / "m")
    assert other.preprocessing == model.preprocessing
    assert other.preprocessing.scale == "image_max"
    image = torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        assert torch.equal(model.logits(image), other.logits(image))
    assert "Converted from `u2netp.pth` (torch checkpoint)" in (tmp_path / "m/README.md").read_text()


def test_error_leaves_nothing(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w.pth \(torch checkpoint\) holds none of the published networks; got 1 ten"):
        convert_weights(tmp_path / "w.pth", tmp_path / "m")
    with pytest.raises(ValueError, match=r"does not fit this model \(u2netp\)"):
        convert_weights(tmp_path / "w.pth", tmp_path / "m", name="u2netp")
    assert not (tmp_path / "m").exists()
    with pytest.raises(FileExistsError, match="already holds something"):
        convert_weights(tmp_path / "w.pth", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no model at {tmp_path}: wanted"):
        convert_weights(tmp_path, tmp_path / "m")
    save_model(create_model("u2netp"), tmp_path / "saved")
    with pytest.raises(ValueError, match="saved is a saved model, for load_model"):
        convert_weights(tmp_path / "saved", tmp_path / "m")
