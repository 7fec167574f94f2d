import json
import logging
import re

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from dichoseg import Preprocessing, create_model, load_model, save_model
from dichoseg.encoders import TimmEncoder
from dichoseg.models.weights import is_uncalibrated
from dichoseg.models.weights.config import METADATA_KEY, config_of
from dichoseg.models.weights.loading import looks_like
from dichoseg.models.weights.published import published_names
from dichoseg.models.weights.reading import read_weights

from .conftest import as_authors_export, export


def authors_state(model, name="isnet"):
    """A state dict under the authors' names."""
    theirs = {ours: author for author, ours in published_names()[name].items()}
    state = {}
    for key, value in model.state_dict().items():
        module, _, leaf = key.rpartition(".")
        state[f"{theirs[module]}.{leaf}"] = value
    return state


def loaded(model, path):
    return create_model(**model.recipe, weights=path).eval()


def same(one, other):
    return all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


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
    assert re.search(r"also holds \d+ tensors beside this network, which are passed over \(gt_encoder.", caplog.text)


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


def test_value_graph_of_the_answer_alone(varied_isnet, tmp_path, caplog):
    path = export(varied_isnet, tmp_path / "m.onnx", answer_alone=True)
    with caplog.at_level(logging.WARNING):
        model = loaded(varied_isnet, path)
    assert "4 tensors of other heads keep their present values (heads.sides.1.bias, ...)" in caplog.text
    image = torch.rand(1, 3, 65, 97)
    torch.testing.assert_close(model.logits(image), varied_isnet.logits(image), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", published_names())
def test_value_looks_like(name, tmp_path):
    torch.save(authors_state(create_model(name), name), tmp_path / "w.pth")
    assert looks_like(read_weights(tmp_path / "w.pth")) == (name, True)


def test_value_looks_like_in_part(tmp_path):
    state = authors_state(create_model("u2netp"), "u2netp")
    del state["outconv.bias"]
    torch.save(state, tmp_path / "w.pth")
    assert looks_like(read_weights(tmp_path / "w.pth")) == ("u2netp", False)
    torch.save({"x.weight": torch.zeros(1)}, tmp_path / "w.pth")
    assert looks_like(read_weights(tmp_path / "w.pth")) == (None, False)


def test_error_file_of_another_network(tmp_path):
    torch.save(authors_state(create_model("u2netp"), "u2netp"), tmp_path / "w.pth")
    model = create_model("isnet")
    before = model.state_dict()["heads.sides.0.bias"].clone()
    message = (
        r"w.pth \(torch checkpoint\) does not fit this model \(isnet\): missing 2 \(conv_in.weight, conv_in.bias\); "
        r"unexpected 2 \(outconv.weight, outconv.bias\); other shapes \d+ \(stage1.rebnconvin.conv_s1.weight "
        r"\(64, 3, 3, 3\) for \(64, 64, 3, 3\), .*; it holds u2netp: create_model\('u2netp', weights=...\)"
    )
    with pytest.raises(ValueError, match=message):
        create_model("isnet", weights=tmp_path / "w.pth")
    assert torch.equal(model.state_dict()["heads.sides.0.bias"], before)


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
