import json
from importlib.metadata import version

import pytest

from dichoseg import create_model
from dichoseg.weights.format import config_of, read_config


def test_value_config_makes_the_model_again(small_isnet, tmp_path):
    config = config_of(small_isnet)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_config(tmp_path) == json.loads(json.dumps(config))
    assert create_model(**config["recipe"]).feature_info == small_isnet.feature_info
    assert config["preprocessing"]["size"] == 64
    assert config["frozen_batch_norm"] is False


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mean": 5}, "mean must be"),
        ({"size": "big"}, "size must be an int"),
        ({"size": -1}, "size must be 1 or more"),
        ({"colour": 1}, "unknown preprocessing keys: colour"),
    ],
)
def test_error_preprocessing_names_the_file(small_isnet, tmp_path, values, message):
    config = config_of(small_isnet)
    config["preprocessing"] |= values
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"{tmp_path}/config.json .*{message}"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not readable JSON"),
        ("[]", "is not a dichoseg model of format 2 or older; it says library None"),
        (json.dumps({"library": "dichoseg", "format_version": 3}), "library 'dichoseg', format 3"),
        (json.dumps({"library": "timm", "format_version": 1}), "library 'timm'"),
        (json.dumps({"library": "dichoseg", "format_version": 1, "recipe": None}), "preprocessing.* is missing"),
    ],
)
def test_error_config(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path)


def test_error_config_that_is_no_text(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=f"{tmp_path}/config.json is not readable JSON: 'utf-16"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"name": 5}},
        {"recipe": {"name": "isnet", "weights": "somewhere.pth"}},
        {"recipe": {"name": "isnet", "encoder_args": {"checkpoint_path": "somewhere.pth"}}},
        {"recipe": {"name": "isnet", "encoder": "timm:resnet18(checkpoint_path='somewhere.pth')"}},
        {"recipe": {"name": "isnet(weights='somewhere.pth')"}},
        {"recipe": {"name": "isnet(encoder_args={'checkpoint_path': 'somewhere.pth'})"}},
        {"recipe": {"name": "isnet(encoder=\"timm:resnet18(checkpoint_path='somewhere.pth')\")"}},
        {"recipe": {"name": "mine", "parts": [{"encoder": "timm:resnet18(checkpoint_path='somewhere.pth')"}]}},
        {"recipe": {"name": "isnet", "decoder": "fpn(channels=__import__('os'))"}},
        {"recipe": [1]},
        {"preprocessing": None},
        {"packages": [1]},
        {"packages": {"acme": 1}},
    ],
)
def test_error_recipe_that_would_open_other_files(small_isnet, tmp_path, changes):
    (tmp_path / "config.json").write_text(json.dumps(config_of(small_isnet) | changes))
    with pytest.raises(ValueError, match="config.json holds a recipe or preprocessing that cannot be used"):
        read_config(tmp_path)


def test_value_names_with_arguments_are_portable():
    recipe = {"name": "isnet", "encoder": "timm:test_resnet(pretrained=True)", "decoder": "fpn(channels=8)"}
    model = create_model("isnet", encoder="timm:test_resnet", decoder="fpn(channels=8)", size=(40, 96))
    model.recipe = recipe
    config = config_of(model)
    assert config["recipe"] == {**recipe, "encoder": "timm:test_resnet(pretrained=False)"}
    assert config["preprocessing"]["size"] == (40, 96)


def test_value_packages_of_the_parts(small_isnet, install):
    install("acme-decoders", "[dichoseg.decoders]\nacme = nothing:nothing\n")
    own = {"dichoseg": version("dichoseg")}
    assert config_of(small_isnet)["packages"] == own
    small_isnet.recipe = {"name": "isnet", "decoder": "acme(channels=8)"}
    assert config_of(small_isnet)["packages"] == {**own, "acme-decoders": "1.5"}
    small_isnet.recipe = None
    assert config_of(small_isnet)["packages"] == own


def test_value_package_of_an_encoder_inside_another(small_isnet, install):
    install("acme-encoders", "[dichoseg.encoders]\nacme = nothing:nothing\n")
    small_isnet.recipe = {"name": "isnet", "encoder": "multi_scale(encoder='acme')"}
    config = config_of(small_isnet)
    assert config["recipe"]["encoder"] == "multi_scale(encoder='acme-encoders/acme')"
    assert config["packages"] == {"dichoseg": version("dichoseg"), "acme-encoders": "1.5"}


def test_value_no_download_is_saved_at_any_depth(small_isnet):
    small_isnet.recipe = {
        "name": "mine",
        "parts": [{"encoder": "timm:resnet18(pretrained=True, depth=2)", "pretrained": True}],
        "label": "not (a name",
        "heads": 4,
    }
    recipe = config_of(small_isnet)["recipe"]
    assert recipe == {
        "name": "mine",
        "parts": [{"encoder": "timm:resnet18(pretrained=False, depth=2)", "pretrained": False}],
        "label": "not (a name",
        "heads": 4,
    }
