import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dichoseg.evaluation import Comparison
from dichoseg.evaluation.comparison import _tiles
from dichoseg.metrics import Evaluator

RANDOM = np.random.default_rng(1)


def comparison(metrics, count=30, **options):
    masks = [RANDOM.random((16, 16)) > 0.6 for _ in range(count)]
    evaluators = {"good": [], "bad": []}
    for name, noise in (("good", 0.3), ("bad", 0.7)):
        for mask in masks:
            evaluator = Evaluator(metrics=metrics, **options)
            prediction = (1 - noise) * mask + noise * RANDOM.random(mask.shape)
            evaluator.update(prediction, mask)
            evaluators[name].append(evaluator)
    images = [f"{index:02d}" for index in range(count)]
    files = {name: [(Path("p"), Path("m"))] * count for name in evaluators}
    return Comparison(images=images, evaluators=evaluators, notes=(), files=files)


def test_value_differences_are_those_of_the_scores():
    made = comparison(("paper", "iou"))
    scores = made.scores()
    differences = made.differences()["bad"]
    for metric, difference in differences.items():
        assert difference.value == pytest.approx(
            scores["bad"]["all"][metric] - scores["good"]["all"][metric], abs=1e-12
        )
        assert difference.low <= difference.value <= difference.high
    assert set(scores["bad"]["all"]) - set(differences) == {"overall_iou"}
    assert differences["mae"].low > 0, "noise is worse, beyond doubt"


def test_value_interval_is_that_of_the_mean():
    made = comparison(("mae",), count=200)
    rows = [
        other.table()[0]["mae"] - one.table()[0]["mae"]
        for one, other in zip(made.evaluators["good"], made.evaluators["bad"], strict=True)
    ]
    difference = made.differences()["bad"]["mae"]
    spread = 1.96 * np.std(rows) / np.sqrt(len(rows))
    assert difference.high - difference.low == pytest.approx(2 * spread, rel=0.1)
    again = Comparison(images=made.images, evaluators=made.evaluators, notes=(), files=made.files)
    assert made.differences() == again.differences(), "the same seed resamples alike"


def test_value_text_and_files_take_the_same_differences(tmp_path, monkeypatch):
    made = comparison(("max_f",), count=3)
    computed = []
    statistics = made._statistics
    monkeypatch.setattr(made, "_statistics", lambda *arguments: computed.append(1) or statistics(*arguments))
    made.text()
    made.write(tmp_path)
    assert len(computed) == len(made.evaluators)
    made.differences(seed=1)
    assert len(computed) == 2 * len(made.evaluators)


def test_value_undefined_images_do_not_count():
    made = comparison(("mba",), count=4)
    empty = Evaluator(metrics=("mba",))
    empty.update(np.zeros((16, 16), np.uint8), np.zeros((16, 16), bool))
    for name in made.evaluators:
        made.evaluators[name][0] = empty
    difference = made.differences()["bad"]["mba"]
    scores = made.scores()
    assert difference.value == pytest.approx(scores["bad"]["all"]["mba"] - scores["good"]["all"]["mba"])


def test_value_text():
    lines = comparison(("mae", "max_f"), count=3).text().splitlines()
    assert lines[0].split() == ["predictions", "masks", "images", "mae", "max_f"]
    assert lines[1].split()[:3] == ["good", "all", "3"]
    assert lines[3] == "bad minus good, with 95 % intervals over 3 images:"
    assert "max_f: -" in lines[5]


def test_value_the_worst_of_each_folder(tmp_path):
    masks = {"a": np.full((8, 8), 255, np.uint8), "b": np.zeros((8, 8), np.uint8)}
    levels = {"first": (250, 20), "second": (100, 10)}  # the worst is b, and a
    evaluators, files = {}, {}
    for name, values in levels.items():
        evaluators[name], files[name] = [], []
        for (image, mask), level in zip(masks.items(), values, strict=True):
            paths = [
                tmp_path / name / f"{image}.png",
                tmp_path / "gt" / f"{image}.png",
                tmp_path / "im" / f"{image}.png",
            ]
            prediction = np.full((8, 8), level, np.uint8)
            for path, pixels in zip(paths, (prediction, mask, prediction), strict=True):
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(pixels).save(path)
            evaluator = Evaluator(metrics=("mse", "max_f"), normalize=False)
            evaluator.update(prediction, mask, name=image)
            evaluators[name].append(evaluator)
            files[name].append((paths[0], paths[1]))
    made = Comparison(images=list(masks), evaluators=evaluators, notes=(), files=files)
    made.write_worst(tmp_path / "out")
    with (tmp_path / "out/worst.csv").open(newline="") as file:
        table = [(row["predictions"], row["name"], float(row["mse"])) for row in csv.DictReader(file)]
    expected = [("first", "b", 20), ("first", "a", 5), ("second", "a", 155), ("second", "b", 10)]
    assert table == [(name, image, pytest.approx((error / 255) ** 2)) for name, image, error in expected]
    sizes = []
    for options in ({}, {"rows": 1, "images": tmp_path / "im"}):
        made.write_worst(tmp_path / "out", **options)
        with Image.open(tmp_path / "out/worst.jpg") as sheet:
            sizes.append(sheet.size)
    assert sizes[1][0] - sizes[0][0] == 200, "a column for the image"
    assert sizes[0][1] - sizes[1][1] == 2 * (22 + 192 + 8), "a row less of each folder"


def test_value_dis_protocol_has_no_interval_for_max_f():
    made = comparison(("mae", "max_f"), count=3, protocol="dis")
    assert set(made.differences()["bad"]) == {"mae"}


def test_value_ignored_pixels_are_no_errors(tmp_path):
    ids, levels = np.zeros((192, 192), np.uint8), np.zeros((192, 192), np.uint8)
    ids[50:100], ids[120:] = 1, 255
    levels[50:100] = levels[120:] = 255
    for name, pixels in (("ids", ids), ("levels", levels)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    reading = {"foreground": (1,), "ignore": (255,)}
    errors = _tiles(tmp_path / "levels.png", tmp_path / "ids.png", reading)["errors"]
    assert (errors[50:100] == 1).all(), "found foreground is white"
    assert (errors[120:] == 0).all()
