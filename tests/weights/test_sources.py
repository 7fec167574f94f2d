import dataclasses
import json
import logging
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dichoseg import create_model, load_model, save_model
from dichoseg.weights import catalogue, convert_weights, load_weights
from dichoseg.weights.cache import own_path
from dichoseg.weights.sources import Source, find_source, is_model

from ..web import plain_server


def test_value_a_folder_comes_first_then_a_name(tiny_weights, small_isnet, tmp_path, caplog):
    caplog.set_level(logging.INFO, "dichoseg")
    assert find_source("tiny") == Source(own_path(tiny_weights), record=tiny_weights)
    assert "tiny is published weights of that name" in caplog.text
    save_model(small_isnet, "tiny")
    assert find_source("tiny").folder.absolute() == tmp_path / "tiny"
    assert "tiny is a saved model on this machine" in caplog.text
    assert load_model("tiny").recipe["name"] == "isnet"
    assert find_source("authors.pth").record is None
    assert "authors.pth is a file on this machine" in caplog.text


def test_value_a_model_by_name(tiny_weights):
    model = load_model("tiny")
    assert model.recipe == {"name": "u2netp"}
    assert (model.preprocessing.scale, model.preprocessing.size) == ("unit", 320)
    assert model.origin is tiny_weights
    state = torch.load("authors.pth", weights_only=True)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    filled = create_model("u2netp", weights="tiny", size=64)
    assert (filled.preprocessing.scale, filled.preprocessing.size) == ("unit", 64)
    assert load_weights(create_model("u2netp"), "tiny").path == own_path(tiny_weights)
    assert load_model("tiny", model=create_model("u2netp")).origin is tiny_weights


def test_value_the_license_travels(tiny_weights, tmp_path):
    save_model(load_model("tiny"), tmp_path / "saved")
    convert_weights("tiny", tmp_path / "converted")
    for folder in ("saved", "converted"):
        card = (tmp_path / folder / "README.md").read_text()
        assert "license: mit" in card.split("---")[1]
        assert f"published weights tiny: {tiny_weights.terms}." in card
        model = load_model(tmp_path / folder)
        assert model.preprocessing.scale == "unit"
        assert model.origin.terms == tiny_weights.terms
        save_model(model, tmp_path / f"{folder}-again")
        assert (tmp_path / f"{folder}-again/README.md").read_text() == card.split("\n## Notes")[0]
        filled = create_model("u2netp", weights=tmp_path / folder)
        assert filled.origin == model.origin


def test_value_a_record_is_taken_as_it_is(tiny_weights, small_isnet):
    save_model(small_isnet, "tiny")
    assert load_model(tiny_weights).recipe == {"name": "u2netp"}


def test_value_license_is_accepted_once(tiny_weights, monkeypatch):
    record = dataclasses.replace(tiny_weights, commercial="no")
    own_path(record).unlink()
    with pytest.raises(ValueError, match="license of tiny must be accepted once, by accept_license=True in load_model"):
        load_model(record)
    with pytest.raises(ConnectionError):  # the license is accepted, and the web has no file
        load_model(record, accept_license=True)
    with pytest.raises(ConnectionError):
        load_model(record)


def test_value_texts_that_name_models(tiny_weights, small_isnet, tmp_path):
    save_model(small_isnet, "run/best")
    (tmp_path / "photographs").mkdir()
    (tmp_path / "a.jpg").write_text("")
    assert [is_model(name) for name in ("run", "authors.pth", "tiny", "u2net", "owner/name")] == [True] * 5
    assert [is_model(name) for name in ("photographs", "a.jpg", "b.jpg", "photographs/b.jpg", "nothing")] == [False] * 5
    assert [is_model(name) for name in ("briaai/RMBG-1.4", "nowhere/b.jpg", "photographs/b-1.4")] == [
        True,
        False,
        False,
    ]


def test_value_a_folder_for_transformers(tmp_path):
    """As the authors' repositories on the hub are: the weights are recognized, and nothing else is used."""
    model = create_model("u2netp")
    (tmp_path / "repository").mkdir()
    save_file(
        {key: value.half() for key, value in model.state_dict().items()}, tmp_path / "repository/model.safetensors"
    )
    config = {"architectures": ["Cutter"], "auto_map": {"AutoModel": "cutter.Cutter"}, "recipe": {"name": "isnet"}}
    (tmp_path / "repository/config.json").write_text(json.dumps(config))
    (tmp_path / "repository/cutter.py").write_text("raise SystemExit('this ran')")
    loaded = load_model(tmp_path / "repository")
    assert loaded.recipe == {"name": "u2netp"}
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded.logits(image), model.eval().logits(image), atol=0.05, rtol=0.05)
    convert_weights(tmp_path / "repository", tmp_path / "mine")
    assert load_model(tmp_path / "mine").recipe == {"name": "u2netp"}
    (tmp_path / "repository/model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="of the library transformers, but no model.safetensors"):
        load_model(tmp_path / "repository")


def test_error_revision(tiny_weights, small_isnet):
    with pytest.raises(ValueError, match="tiny always means the same file; got revision='v1'"):
        load_model("tiny", revision="v1")
    save_model(small_isnet, "run")
    with pytest.raises(ValueError, match="so it has no revisions; got revision='v1'"):
        load_model("run", revision="v1")


def test_error_nothing_is_found(tiny_weights, tmp_path):
    for source in (tmp_path, tmp_path / "nothing", "a/b/c", ".", "", "/", "runs/absent.pth"):
        with pytest.raises(FileNotFoundError, match=r"no model at .*wanted a folder with config.json"):
            find_source(source)
    with pytest.raises(FileNotFoundError, match="no model at isnet-genral-use: .*did you mean isnet-general-use or"):
        load_model("isnet-genral-use")
    (tmp_path / "tiny").mkdir()
    with pytest.raises(FileNotFoundError, match="rename or move this folder to use the published weights tiny"):
        load_model("tiny")


def test_error_a_graph_without_onnx_is_not_downloaded(web, monkeypatch):
    record = web.record("ok", name="graph", file="w.onnx")
    monkeypatch.setitem(catalogue._BY_NAME, "graph", record)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"graph is an .onnx file.*dichoseg\[onnx\]"):
        find_source("graph")
    assert web.requests() == []


@pytest.mark.skipif("DICHOSEG_TEST_WEIGHTS" not in os.environ, reason="the path of isnet-general-use-fp16's file")
def test_value_a_real_file_from_a_mirror(web, tmp_path, monkeypatch):
    """From a plain web server, which knows no ranges, to the logits of the file itself; then again offline."""
    file, record = Path(os.environ["DICHOSEG_TEST_WEIGHTS"]), catalogue.resolve("isnet-general-use-fp16")
    (tmp_path / "mirror" / record.sha256).mkdir(parents=True)
    shutil.copy(file, tmp_path / "mirror" / record.sha256 / record.file)
    with plain_server(tmp_path / "mirror") as address:
        monkeypatch.setenv("DICHOSEG_MIRROR", address)
        model = load_model(record.name)
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.logits(image), load_model(file).logits(image))
    monkeypatch.setenv("DICHOSEG_OFFLINE", "1")
    assert torch.equal(model.logits(image), load_model(record.name).logits(image))
