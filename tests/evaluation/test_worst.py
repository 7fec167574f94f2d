import csv
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import Sample, SyntheticDataset, evaluate
from dichoseg.evaluation import write_worst
from dichoseg.evaluation.worst import prediction_sheet, save_sheet, worst_first

DATA = SyntheticDataset(4, size=64)


def rows(metric, *values):
    return [{"name": str(index), metric: value} for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("metric", "order"), [("mae", [1, 2, 0]), ("max_f", [0, 2, 1]), ("adaptive_ber", [1, 2, 0]), ("hce", [1, 2, 0])]
)
def test_value_the_worst_is_the_highest_error_or_the_lowest_score(metric, order):
    assert worst_first(rows(metric, 0.1, 0.9, 0.5), metric) == order


def test_value_undefined_images_are_last():
    assert worst_first(rows("mba", math.nan, 0.9, 0.5), "mba") == [2, 1, 0]


def test_error_metric_that_was_not_scored():
    with pytest.raises(ValueError, match="metric must be one of the scores, mae; got 'hce'"):
        worst_first(rows("mae", 0.1), "hce")


def test_value_scores_are_a_dict_with_those_of_each_image(small_isnet):
    scores = evaluate(small_isnet, DATA, metrics=("mae", "max_f"))
    assert [row["name"] for row in scores.images] == [DATA[index].name for index in range(4)]
    assert np.mean([row["mae"] for row in scores.images]) == pytest.approx(scores["mae"])
    assert json.loads(json.dumps(scores)) == scores == {"mae": scores["mae"], "max_f": scores["max_f"]}
    errors = [row["mae"] for row in scores.worst_first()]
    assert errors == sorted(errors, reverse=True)
    values = [row["max_f"] for row in scores.worst_first("max_f")]
    assert values == sorted(values)
    pair = evaluate(small_isnet, [(DATA[0].image, DATA[0].mask)], metrics=("mae",))
    assert pair.images == [{"name": "sample 0", "mae": scores.images[0]["mae"]}]


def test_value_table_and_sheet_of_the_worst(small_isnet, tmp_path):
    masks = [torch.zeros(1, 64, 64) for _ in range(3)]
    masks[1] += 1  # predictions of the untrained network are gray, and low
    data = [Sample(torch.full((3, 64, 64), index / 2), mask, "abc"[index]) for index, mask in enumerate(masks)]
    scores = evaluate(small_isnet, data, metrics=("adaptive_f", "mae"))
    write_worst(small_isnet, data, scores, tmp_path / "new/run", metric="adaptive_f", rows=2)
    write_worst(small_isnet, data, scores, tmp_path, metric="mae", rows=1)
    with (tmp_path / "worst.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["name", "adaptive_f", "mae"]
    expected = sorted(scores.images, key=lambda row: -row["mae"])
    assert [row["name"] for row in table] == [row["name"] for row in expected]
    assert float(table[0]["mae"]) == expected[0]["mae"]
    heights = {}
    for name, folder in (("one", tmp_path), ("two", tmp_path / "new/run")):
        with Image.open(folder / "worst.jpg") as sheet:
            heights[name] = sheet.height
            shown = np.asarray(sheet)[60:240, 16:192] / 255
    assert heights["two"] - heights["one"] == 22 + 192 + 8, "a caption and a picture"
    worst = "abc".index(scores.worst_first("adaptive_f")[0]["name"])
    assert np.abs(shown - worst / 2).max() < 0.03


def test_value_a_sheet_shows_the_images_that_were_asked_for(small_isnet):
    sheet = np.asarray(prediction_sheet(small_isnet, DATA, [3], captions=["last"]))
    shown = sheet[52 : 52 + 192, 8 : 8 + 192].reshape(64, 3, 64, 3, 3).mean(axis=(1, 3)) / 255
    assert np.abs(shown - DATA[3].image.permute(1, 2, 0).numpy()).mean() < 0.05
    assert small_isnet.training, "the model stays as it is"


def test_value_a_sheet_that_no_jpeg_file_holds_is_cut_off(tmp_path, caplog):
    save_sheet(tmp_path / "worst.jpg", Image.new("L", (8, 65600)))
    with Image.open(tmp_path / "worst.jpg") as sheet:
        assert sheet.size == (8, 65500)
    assert "worst.jpg ends after 65500 pixels" in caplog.text
