import json
import shutil

import pytest

from dichoseg import save_model
from dichoseg.weights.catalogue import resolve

from .conftest import run_cli


def test_value_evaluate_folders_side_by_side(data):
    for part in ("a", "b"):
        shutil.copytree(data / "train/gt", data / part)
    arguments = ("evaluate", data / "a", data / "b", data / "train/gt", "--workers", 0, "--skeletons", data / "s")
    result = run_cli(*arguments, "--out", data / "scores")
    assert result.exit_code == 0, result.output
    assert "b minus a, with 95 % intervals over 5 images" in result.output
    assert json.loads((data / "scores/scores.json").read_text())["scores"]["a"]["all"]["max_f"] == 1
    assert "got 1 folders" in str(run_cli("evaluate", data / "a").exception)
    (data / "a/extra.png").write_bytes(min((data / "a").iterdir()).read_bytes())
    assert "extra.png has no mask in" in str(run_cli(*arguments).exception)
    assert run_cli(*arguments, "--allow-missing", "--metrics", "fast").exit_code == 0


def test_value_evaluate_calls_the_working_folder_by_its_name(data, monkeypatch):
    monkeypatch.chdir(data / "train/gt")
    result = run_cli("evaluate", ".", data / "train/gt", "--metrics", "mae", "--workers", 0)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split()[:3] == ["gt", "all", "5"]


@pytest.fixture
def masks(data):
    return data / "train/gt"


def test_value_a_model_is_predicted_and_scored(data, small_isnet):
    save_model(small_isnet, data / "model")
    arguments = ("--metrics", "mae,max_f", "--workers", 0)
    result = run_cli("evaluate", data / "model", data / "train", *arguments, "--out", data / "scores")
    assert result.exit_code == 0, result.output
    assert (data / "scores/extremes.jpg").exists()
    scores = json.loads((data / "scores/scores.json").read_text())["scores"]["model"]["all"]
    assert run_cli("predict", data / "train/im", "--model", data / "model", "--out", data / "maps").exit_code == 0
    result = run_cli("evaluate", data / "maps", data / "train/gt", *arguments, "--out", data / "again")
    assert json.loads((data / "again/scores.json").read_text())["scores"]["maps"]["all"] == scores


def test_value_a_model_that_has_seen_the_test_sets_is_told(data, small_isnet, caplog):
    small_isnet.origin = resolve("inspyrenet")
    save_model(small_isnet, data / "model")
    arguments = ("--metrics", "mae", "--workers", 0)
    assert run_cli("evaluate", data / "model", data, *arguments).exit_code == 0
    assert "inspyrenet was trained on images of DUTS-TE" in caplog.text


def test_error_models_and_folders(data, small_isnet, masks):
    save_model(small_isnet, data / "model")
    assert "model are models, and gt are not" in str(run_cli("evaluate", data / "model", masks, masks).exception)
    result = run_cli("evaluate", data / "model", data / "model")
    assert f"no images and masks in {data / 'model'}: wanted" in str(result.exception)


def test_value_suffix_of_predictions(data, masks):
    for path in masks.iterdir():
        (data / "marked").mkdir(exist_ok=True)
        shutil.copy(path, data / "marked" / f"{path.stem}_mask.png")
        shutil.copy(path, data / "marked" / f"{path.stem}_edges.png")
    arguments = ("evaluate", data / "marked", masks, "--metrics", "mae", "--workers", 0)
    assert run_cli(*arguments, "--prediction-suffix", "_mask").stdout.splitlines()[1].split()[:3] == [
        "marked",
        "all",
        "5",
    ]
    assert "no prediction has a mask of the same name" in str(run_cli(*arguments).exception)
