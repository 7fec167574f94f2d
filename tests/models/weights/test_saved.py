import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dichoseg import Preprocessing, Segmenter, create_model, load_model, save_model
from dichoseg.decoders import RSUDecoder
from dichoseg.encoders import RSUEncoder
from dichoseg.models.weights import ModelCard, freeze_batch_norm
from dichoseg.models.weights.batch_norm import is_frozen

FIRST = Path(__file__).parents[2] / "golden/checkpoint_1"


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


def test_value_round_trip(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "m", card=ModelCard(data="drawn scenes"))
    loaded = load_model(tmp_path / "m")
    image = torch.rand(1, 3, 65, 97)
    assert torch.equal(small_isnet.eval().logits(image), loaded.logits(image))
    assert loaded.preprocessing == small_isnet.preprocessing
    assert loaded.recipe == small_isnet.recipe
    written = sorted(path.name for path in (tmp_path / "m").iterdir())
    assert written == ["README.md", "config.json", "model.safetensors"]
    assert "drawn scenes" in (tmp_path / "m/README.md").read_text()


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
    with pytest.raises(ValueError, match="is on this machine, where there are no revisions"):
        load_model(tmp_path / "w.pth", revision="v1")


def test_value_compiled_model_is_saved_as_itself(small_isnet, tmp_path):
    save_model(torch.compile(small_isnet), tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == set(small_isnet.state_dict())
    assert torch.equal(load_model(tmp_path).encoder.stem.weight, small_isnet.encoder.stem.weight)


def test_error_what_is_no_model_leaves_nothing(small_isnet, tmp_path):
    for module in (torch.nn.Linear(1, 1), torch.nn.DataParallel(small_isnet)):
        with pytest.raises(TypeError, match=f"wanted a model .*; got {type(module).__name__}"):
            save_model(module, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_value_pretrained_backbone_is_not_fetched_again(tmp_path):
    model = create_model("isnet", encoder="timm:test_resnet")
    model.recipe["encoder_args"] = {"pretrained": True}
    save_model(model, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["recipe"]["encoder_args"] == {"pretrained": False}


def test_value_frozen_batch_norm_stays_frozen(small_isnet, tmp_path):
    image = torch.rand(1, 3, 64, 64)
    freeze_batch_norm(small_isnet)
    save_model(small_isnet, tmp_path)
    loaded = load_model(tmp_path)
    assert is_frozen(loaded)
    torch.testing.assert_close(loaded.logits(image), small_isnet.eval().logits(image))
    live = create_model(**small_isnet.recipe, weights=tmp_path).eval()
    assert not is_frozen(live)
    torch.testing.assert_close(live.logits(image), small_isnet.logits(image))
    save_model(create_model("egnet_vgg16"), tmp_path / "none")  # it has no batch norm at all
    assert not is_frozen(load_model(tmp_path / "none"))


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
def plugin(tmp_path, monkeypatch):
    """A package with a decoder, as pip would have installed it."""
    folder = tmp_path / "site"
    info = folder / "acme_decoders-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "acme_decoders.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-decoders\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dichoseg.decoders]\nacme = acme_decoders:Small\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_error_missing_plugin_names_its_package(small_isnet, tmp_path, plugin, monkeypatch):
    arguments = {key: value for key, value in small_isnet.recipe.items() if key != "decoder"}
    save_model(create_model(**arguments, decoder="acme"), tmp_path / "m")
    assert json.loads((tmp_path / "m/config.json").read_text())["recipe"]["decoder"] == "acme-decoders/acme"
    assert load_model(tmp_path / "m").decoder is not None
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry != str(plugin)])
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.distribution("acme-decoders")
    with pytest.raises(ValueError, match="package acme-decoders, which is not installed: pip install acme-decoders"):
        load_model(tmp_path / "m")
