import json

import pytest
import torch
from safetensors.torch import load_file

from dichoseg import create_model, load_model, save_model
from dichoseg.batch_norm import is_frozen
from dichoseg.training import freeze_batch_norm
from dichoseg.weights import ModelCard


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
