import dataclasses
import hashlib

import pytest
import torch

from dichoseg import create_model, load_model, save_model
from dichoseg.models.birefnet import names_of
from dichoseg.records import Weights
from dichoseg.weights import load_weights, unstated
from dichoseg.weights.reading import read_weights

BACKBONE = {"backbone": "pvt_v2_b0"}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A file in the authors' keys, in half precision behind two wrappers, and its model."""
    torch.manual_seed(0)
    model = create_model("birefnet", **BACKBONE, patch_order="columns").eval()
    theirs = {own: name for name, own in names_of("pvt_v2_b0").items()}
    state = {}
    for key, value in model.state_dict().items():
        module, _, leaf = key.rpartition(".")
        value.copy_(value.half())
        half = value.half() if value.is_floating_point() else value
        state[f"module._orig_mod.{theirs[module]}.{leaf}"] = half
    path = tmp_path_factory.mktemp("foreign") / "BiRefNet.pth"
    torch.save(state, path)
    return path, model


@pytest.fixture
def record(foreign, monkeypatch):
    """A record of that file, found by its checksum."""
    path, _ = foreign
    record = Weights(
        name="of-test",
        network="birefnet(backbone='pvt_v2_b0', patch_order='columns')",
        file="BiRefNet.pth",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        bytes=path.stat().st_size,
    )
    others = [dataclasses.replace(record, name="other", sha256="0" * 64), dataclasses.replace(record, network="u2net")]
    monkeypatch.setattr(unstated, "list_weights", lambda: {one.name: one for one in (*others, record)})
    return record


@pytest.mark.parametrize("load", [load_model, lambda path: create_model("birefnet", **BACKBONE, weights=path)])
def test_error_unknown_file(foreign, load):
    with pytest.raises(ValueError, match="patch_order: 'columns' if .*November 2024.*, 'rows' if later; create_model"):
        load(foreign[0])


def test_error_load_weights_into_a_model_that_does_not_say(foreign):
    with pytest.raises(ValueError, match="patch_order"):
        load_weights(create_model("birefnet", **BACKBONE), foreign[0])


def test_error_advice_has_the_other_arguments(foreign):
    with pytest.raises(ValueError, match=r"create_model\('birefnet', backbone='pvt_v2_b0', patch_order=\.\.\."):
        load_model(foreign[0])


@pytest.mark.usefixtures("record")
def test_error_a_model_with_another_value_of_its_own(foreign):
    path, _ = foreign
    message = "BiRefNet.pth needs patch_order='columns'; the model has 'rows'"
    with pytest.raises(ValueError, match=message):
        load_weights(create_model("birefnet", **BACKBONE), path)
    with pytest.raises(ValueError, match=message):
        load_model(path, model=create_model("birefnet", **BACKBONE))
    load_weights(create_model("birefnet", **BACKBONE, patch_order="columns"), path)


@pytest.mark.parametrize("saved", [{}, {"patch_order": "columns"}])
def test_error_a_saved_model_with_another_value(saved, tmp_path):
    save_model(create_model("birefnet", **BACKBONE, **saved), tmp_path / "saved")
    has = {} if saved else {"patch_order": "columns"}
    for fill in (
        lambda model: load_weights(model, tmp_path / "saved/model.safetensors"),
        lambda model: load_model(tmp_path / "saved", model=model),
    ):
        with pytest.raises(ValueError, match="needs patch_order="):
            fill(create_model("birefnet", **BACKBONE, **has))
        fill(create_model("birefnet", **BACKBONE, **saved))


def test_value_given(foreign):
    path, model = foreign
    loaded = create_model("birefnet", **BACKBONE, patch_order="columns", weights=path).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(loaded.logits(image), model.logits(image))
        rows = create_model("birefnet", **BACKBONE, patch_order="rows", weights=path).eval()
        assert not torch.allclose(rows.logits(image), model.logits(image), atol=1e-3)


@pytest.mark.usefixtures("record")
def test_value_known_by_its_checksum(foreign):
    path, _ = foreign
    assert load_model(path).recipe == {**BACKBONE, "patch_order": "columns", "name": "birefnet"}
    assert create_model("birefnet", **BACKBONE, weights=path).recipe["patch_order"] == "columns"
    with pytest.raises(ValueError, match="needs patch_order='columns'; got 'rows'"):
        create_model("birefnet", **BACKBONE, patch_order="rows", weights=path)


def test_value_record_of_a_name(foreign, record):
    stored = read_weights(foreign[0])
    assert unstated.unstated_arguments("birefnet", {}, stored, record=record) == {"patch_order": "columns"}
    assert unstated.unstated_arguments(record.network, {}, stored, record=record) == {}
    assert unstated.unstated_arguments("u2net", {}, stored, record=record) == {}
    assert unstated.unstated_arguments("birefnet", {}, stored, config={"recipe": None}) == {}


def test_value_known_record(foreign, record, tmp_path):
    assert unstated.known_record(foreign[0], "birefnet") == record
    assert unstated.known_record(foreign[0], "isnet") is None
    other = tmp_path / "other.pth"
    other.write_bytes(b"other")
    assert unstated.known_record(other, "birefnet") is None


def test_error_names_the_backbone_of_the_file(foreign):
    with pytest.raises(ValueError, match="it holds birefnet\\(backbone='pvt_v2_b0'\\)"):
        create_model("birefnet", backbone="pvt_v2_b1", patch_order="rows", weights=foreign[0])


@pytest.mark.parametrize(
    "load",
    [
        load_model,
        lambda path: create_model("birefnet", **BACKBONE, patch_order="columns", weights=path),
        lambda path: load_weights(create_model("birefnet", **BACKBONE, patch_order="rows"), path),
    ],
)
def test_error_file_from_before_may_2024(foreign, tmp_path, load):
    state = torch.load(foreign[0])
    later = (
        "ipt_blk5.",
        "gdt_convs_4.",
        "gdt_convs_pred_4.",
        "gdt_convs_attn_4.",
        "aspp_deforms.1.",
        "aspp_deforms.2.",
    )
    torch.save(
        {key: value for key, value in state.items() if not any(part in key for part in later)}, tmp_path / "a.pth"
    )
    with pytest.raises(ValueError, match=r"a\.pth holds a BiRefNet from before May 2024.*load_model"):
        load(tmp_path / "a.pth")
