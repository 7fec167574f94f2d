import json
import shutil

import pytest
from PIL import Image

from dichoseg import create_model, evaluate, load_model, save_model
from dichoseg.cli.hints import with_options
from dichoseg.data import open_folders
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
    predict = ("predict", data / "train/im", "--model", data / "model", "--out", data / "maps")
    assert run_cli(*predict, "--precision", "float32").exit_code == 0
    result = run_cli("evaluate", data / "maps", data / "train/gt", *arguments, "--out", data / "again")
    assert json.loads((data / "again/scores.json").read_text())["scores"]["maps"]["all"] == scores


def test_value_a_model_that_has_seen_the_test_sets_is_told(data, small_isnet, caplog):
    small_isnet.origin = resolve("inspyrenet")
    save_model(small_isnet, data / "model")
    arguments = ("--metrics", "mae", "--workers", 0)
    assert run_cli("evaluate", data / "model", data, *arguments).exit_code == 0
    assert "inspyrenet was trained on images of DUTS-TE" in caplog.text


def test_value_a_model_at_several_sizes(data, small_isnet):
    for folder in ("model", "other/model"):
        save_model(small_isnet, data / folder)
    arguments = ("--metrics", "mae,max_f", "--workers", 0, "--out", data / "scores")
    result = run_cli("evaluate", data / "model", data, *arguments, "--size", 64, 48, 96)
    assert result.exit_code == 0, result.output
    scores = json.loads((data / "scores/scores.json").read_text())["scores"]
    assert list(scores) == ["model at 64", "model at 48", "model at 96"]
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines[2:5]] == [["model", "at", size] for size in ("64", "48", "96")]
    assert scores["model at 64"] != scores["model at 96"]
    training = open_folders(data)[0]
    for size in (64, 96):
        expected = evaluate(load_model(data / "model", size=size), training, metrics=("mae", "max_f"))
        assert scores[f"model at {size}"]["all"] == pytest.approx(expected)
    assert run_cli("evaluate", data / "model", data, *arguments, "--size", 96).exit_code == 0
    assert json.loads((data / "scores/scores.json").read_text())["scores"] == {"model": scores["model at 96"]}
    models = (data / "model", data / "other/model")
    before = sorted(models[0].iterdir())
    assert run_cli("evaluate", *models, data, *arguments).exit_code == 0, "two models of one name"
    assert list(json.loads((data / "scores/scores.json").read_text())["scores"]) == [str(model) for model in models]
    assert sorted(models[0].iterdir()) == before


def test_value_the_worst_images(data, small_isnet):
    save_model(small_isnet, data / "model")
    arguments = ("evaluate", data / "model", data, "--workers", 0, "--out", data / "scores", "--worst", 2)
    assert run_cli(*arguments, "--metrics", "max_f,mae").exit_code == 0
    rows = (data / "scores/worst.csv").read_text().splitlines()[1:]
    values = [float(row.split(",")[2]) for row in rows]
    assert len(values) == 5
    assert values == sorted(values)
    with Image.open(data / "scores/worst.jpg") as sheet:
        assert sheet.width == 4 * 200 + 8, "image, mask, prediction and errors"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", 64, 96, 64), "--size needs different sizes; got 64 96 64"),
        (("--size", 96, 0), "size must be 1 or more; got 0"),
        (("--worst", 2), "--worst needs --out"),
        (("--worst", 0, "--out", "scores"), "worst must be 1 or more; got 0"),
        (("--metrics", "mea"), "mea"),
        (("--workers", -1), "workers must be 0 or more; got -1"),
        (("--foreground", "no-color"), "no-color"),
        (("--mask-suffix", "_mask"), "_mask"),
    ],
)
def test_error_options_are_told_before_anything_is_predicted(data, small_isnet, arguments, message):
    save_model(small_isnet, data / "model")
    result = run_cli("evaluate", data / "model", data, *arguments)
    assert message in str(result.exception)
    assert "predict" not in result.output


def test_error_size_that_the_network_cannot_take(data):
    save_model(create_model("birefnet_lite"), data / "model")
    result = run_cli("evaluate", data / "model", data, "--size", 256, 1)
    assert "the network cannot run on 1 by 1 pixels" in str(result.exception)
    assert "predict" not in result.output


def test_error_size_without_a_model(masks):
    assert "got folders of predictions: gt" in str(run_cli("evaluate", masks, masks, "--size", 64).exception)


def test_error_models_and_folders(data, small_isnet, masks):
    save_model(small_isnet, data / "model")
    assert "model are models, and gt are not" in str(run_cli("evaluate", data / "model", masks, masks).exception)
    result = run_cli("evaluate", data / "model", data / "model")
    assert f"no images and masks in {data / 'model'}: wanted" in str(result.exception)


def test_error_a_suffix_has_its_option(data, masks):
    (data / "marked").mkdir()
    for path in masks.iterdir():
        shutil.copy(path, data / "marked" / f"{path.stem}_mask.png")
    text = str(run_cli("evaluate", data / "marked", masks, "--workers", 0).exception)
    assert "prediction_suffix='_mask' (--prediction-suffix)" in with_options(text)


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
