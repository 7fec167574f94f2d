import json
import pickle

import pytest
import torch

from dichoseg import Preprocessing, Segmenter, create_model, load_model, save_model
from dichoseg.decoders import RSUDecoder
from dichoseg.encoders import RSUEncoder
from dichoseg.models.weights import published_key, write_atomically


def composed():
    encoder = RSUEncoder(channels=(4, 8), mid_channels=(2, 4), strides=(2, 4), stem_channels=4)
    return Segmenter(encoder, RSUDecoder(encoder.feature_info), preprocessing=Preprocessing(size=64))


def test_value_round_trip(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    image = torch.rand(1, 3, 65, 97)
    assert torch.equal(small_isnet.eval().logits(image), loaded.logits(image))
    assert loaded.preprocessing == small_isnet.preprocessing
    assert loaded.recipe == small_isnet.recipe
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]


def test_value_composed_model_needs_the_composition(tmp_path):
    model = composed()
    save_model(model, tmp_path)
    with pytest.raises(ValueError, match=r"load_model\(path, model=mine\)"):
        load_model(tmp_path)
    other = load_model(tmp_path, model=composed())
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(model.eval().logits(image), other.logits(image))


def test_value_run_folder_stands_for_its_best(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "run/best")
    assert load_model(tmp_path / "run").recipe == small_isnet.recipe


def test_value_weights_of_a_run_folder(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "best")
    other = create_model(**small_isnet.recipe, weights=tmp_path)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in small_isnet.state_dict().items())


def test_value_pretrained_backbone_is_not_fetched_again(tmp_path):
    model = create_model("isnet", encoder="timm:test_resnet")
    model.recipe["encoder_args"] = {"pretrained": True}
    save_model(model, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["recipe"]["encoder_args"] == {"pretrained": False}


def test_value_published_keys():
    assert published_key("stage3d.rebnconv4d.bn_s1.weight") == "decoder.stages.2.up.3.norm.weight"
    assert published_key("stage5.rebnconv1.conv_s1.bias") == "encoder.stages.4.down.0.conv.bias"
    assert published_key("side2.bias", has_refined_heads=True) == "heads.heads.sides.1.bias"


@pytest.mark.parametrize("wrapper", ["plain", "module", "lightning"])
def test_value_wrapped_files(small_isnet, tmp_path, wrapper):
    state = small_isnet.state_dict()
    content = {
        "plain": state,
        "module": {f"module.{key}": value for key, value in state.items()},
        "lightning": {"state_dict": {f"net.{key}": value for key, value in state.items()}, "epoch": 3},
    }[wrapper]
    torch.save(content, tmp_path / "w.pth")
    loaded = create_model(**small_isnet.recipe, weights=tmp_path / "w.pth")
    assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


def test_error_files(small_isnet, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="no weights at .*nothing.pth"):
        create_model("isnet", weights=tmp_path / "nothing.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ValueError, match="text.pth is not a checkpoint of tensors alone"):
        create_model("isnet", weights=tmp_path / "text.pth")
    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"a": Malicious()}))
    with pytest.raises(ValueError, match="bad.pth is not a checkpoint"):
        create_model("isnet", weights=tmp_path / "bad.pth")
    assert "executed" not in capsys.readouterr().out
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other.pth does not fit this model: missing .*; unexpected 1 \(x\)"):
        create_model(**small_isnet.recipe, weights=tmp_path / "other.pth")
    state = small_isnet.state_dict()
    state["encoder.stem.bias"] = torch.full((8,), float("nan"))
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(ValueError, match="not finite, first in encoder.stem.bias"):
        create_model(**small_isnet.recipe, weights=tmp_path / "nan.pth")
    with pytest.raises(FileNotFoundError, match="no model at"):
        load_model(tmp_path)


def test_value_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fails(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
