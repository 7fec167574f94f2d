import json

import numpy as np
import pytest
from PIL import Image

from dichoseg import evaluate_folders
from dichoseg.evaluation import compare_folders
from dichoseg.metrics import Evaluator

RANDOM = np.random.default_rng(0)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pairs():
    """Six pairs of a prediction and a mask, in two subfolders."""
    found = {}
    for index in range(6):
        mask = np.zeros((40, 48), np.uint8)
        mask[5 + index : 25, 8:40] = 255
        noise = RANDOM.integers(0, 120, mask.shape, np.uint8)
        found[f"TE{index % 2} ü/{index}"] = (np.where(mask > 0, 255 - noise, noise).astype(np.uint8), mask)
    return found


@pytest.fixture
def root(tmp_path, pairs):
    for name, (prediction, mask) in pairs.items():
        write(tmp_path / f"a/{name}.png", prediction)
        write(tmp_path / f"b/{name}.png", prediction // 2)
        write(tmp_path / f"gt/{name}.png", mask)
    return tmp_path


def by_hand(pairs, names, metrics=("paper",), **options):
    evaluator = Evaluator(metrics=metrics, **options)
    for name in names:
        evaluator.update(*pairs[name], name=name)
    return evaluator.compute()


def test_value_one_folder(root, pairs):
    assert evaluate_folders(root / "a", root / "gt") == by_hand(pairs, sorted(pairs))
    options = {"protocol": "dis", "metrics": ("mae", "max_f")}
    assert evaluate_folders(root / "a", root / "gt", **options) == by_hand(pairs, sorted(pairs), **options)
    options = {"normalize": False, "metrics": ("fast",)}
    assert evaluate_folders(root / "a", root / "gt", **options) == by_hand(pairs, sorted(pairs), **options)


def test_error_two_files_of_one_name(root, pairs):
    name = next(iter(pairs))
    write(root / f"a/{name}.jpg", pairs[name][0])
    with pytest.raises(ValueError, match=r"two files for one key: .*0\.jpg and .*0\.png"):
        evaluate_folders(root / "a", root / "gt")


def test_value_masks_of_a_suffix(root, pairs):
    for name in pairs:
        (root / f"gt/{name}.png").rename(root / f"gt/{name}_mask.png")
        write(root / f"gt/{name}.jpg", pairs[name][0])
    assert evaluate_folders(root / "a", root / "gt", mask_suffix="_mask") == by_hand(pairs, sorted(pairs))
    with pytest.raises(ValueError, match="no images in .*gt whose names end in '_matte'"):
        evaluate_folders(root / "a", root / "gt", mask_suffix="_matte")


def test_value_subfolders_and_processes_change_no_number(root, pairs, tmp_path):
    folders = {"a": root / "a", "b": root / "b"}
    comparison = compare_folders(folders, root / "gt", workers=2, skeletons=tmp_path / "skeletons")
    scores = comparison.scores()
    assert list(scores["a"]) == ["TE0 ü", "TE1 ü", "all"]
    assert scores["a"]["TE1 ü"] == by_hand(pairs, [name for name in sorted(pairs) if name.startswith("TE1")])
    assert scores["a"]["all"] == pytest.approx(by_hand(pairs, sorted(pairs)), abs=1e-12)
    assert len(list((tmp_path / "skeletons").iterdir())) == 6
    again = compare_folders(folders, root / "gt", skeletons=tmp_path / "skeletons")
    assert again.scores() == scores
    assert compare_folders(folders, root / "gt").scores() == scores


def test_value_files_as_people_have_them(tmp_path, pairs):
    prediction, mask = next(iter(pairs.values()))
    cutout = np.dstack([np.full((*mask.shape, 3), 9, np.uint8), prediction])
    colour = np.stack([prediction, prediction, 255 - prediction], axis=-1)
    empty = np.dstack([colour, np.zeros_like(prediction)])
    variants = {
        "plain": prediction,
        "cutout": cutout,
        "empty": empty,
        "colour": colour,
        "deep": prediction.astype(np.uint16) * 257,
    }
    for name, pixels in variants.items():
        write(tmp_path / f"p/{name}.png", pixels)
        write(tmp_path / f"gt/{name}.png", mask // 255 if name == "plain" else mask)
    write(tmp_path / "p/small.png", np.asarray(Image.fromarray(prediction).resize((24, 20))))
    write(tmp_path / "gt/small.png", mask)
    comparison = compare_folders({"p": tmp_path / "p"}, tmp_path / "gt", metrics=("mae",))
    rows = {row[0]: evaluator.table()[0]["mae"] for row, evaluator in zip(
        ((name,) for name in comparison.images), comparison.evaluators["p"], strict=True)}  # fmt: skip
    assert rows["empty"] == pytest.approx(mask.mean() / 255, abs=1e-6), "nothing was found"
    assert rows["plain"] == rows["cutout"] == pytest.approx(rows["deep"], abs=1e-6)
    assert {note.kind for note in comparison.notes} == {
        "predictions with an alpha channel",
        "predictions in color",
        "predictions of more than 8 bits",
        "predictions resized to their mask",
        "masks of 0 and 1",
    }
    assert comparison.counts()["predictions resized to their mask"] == 1


def test_error_files_that_miss(root):
    next((root / "a").rglob("*.png")).unlink()
    with pytest.raises(ValueError, match=r"has no prediction in .*a; allow_missing=True"):
        evaluate_folders(root / "a", root / "gt")
    comparison = compare_folders({"a": root / "a"}, root / "gt", metrics=("mae",), allow_missing=True)
    assert len(comparison.images) == 5
    assert comparison.counts()["masks without prediction"] == 1
    write(root / "gt2/other.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="no prediction has a mask of the same name"):
        compare_folders({"a": root / "a"}, root / "gt2", allow_missing=True)


def test_error_predictions_with_a_suffix(root):
    for path in (root / "a").rglob("*.png"):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    with pytest.raises(ValueError, match="; prediction_suffix='_mask' compares names without it$"):
        evaluate_folders(root / "a", root / "gt")
    for path in [*(root / "a").rglob("*.png")]:
        path.with_name(path.name.replace("_mask", "_edge")).touch()
    with pytest.raises(ValueError, match=r"more\)$"):  # which of the two is meant is open
        evaluate_folders(root / "a", root / "gt")


@pytest.mark.parametrize("workers", [0, 1])
def test_error_file_that_cannot_be_read(root, workers):
    broken = next((root / "a").rglob("*.png"))
    broken.write_text("no picture")
    with pytest.raises(ValueError, match=f"{broken.name} is not an image that can be read"):
        evaluate_folders(root / "a", root / "gt", metrics=("mae",), workers=workers)


def test_error_arguments(root, tmp_path):
    with pytest.raises(ValueError, match="at least one folder of predictions; got none"):
        compare_folders({}, root / "gt")
    with pytest.raises(ValueError, match="workers must be 0 or more; got -1"):
        evaluate_folders(root / "a", root / "gt", workers=-1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in .*empty"):
        evaluate_folders(tmp_path / "empty", root / "gt")
    Image.fromarray(np.full((40, 48), np.nan, np.float32)).save(root / "a/TE0 ü/0.tif")
    (root / "a/TE0 ü/0.png").unlink()
    with pytest.raises(ValueError, match=r"0.tif cannot be read as an image: it holds numbers that are not finite"):
        evaluate_folders(root / "a", root / "gt")


def test_value_what_is_written(root, tmp_path):
    comparison = compare_folders({"a": root / "a", "b": root / "b"}, root / "gt")
    comparison.write(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "curves.png", "extremes.jpg", "per_image.csv", "scores.json",
    ]  # fmt: skip
    content = json.loads((tmp_path / "out/scores.json").read_text())
    assert content["protocol"] == "pysodmetrics"
    assert content["scores"] == comparison.scores()
    assert len((tmp_path / "out/per_image.csv").read_text().splitlines()) == 13
    mae_alone = compare_folders({"a": root / "a"}, root / "gt", metrics=("mse",))
    mae_alone.write(tmp_path / "mse")
    assert sorted(path.name for path in (tmp_path / "mse").iterdir()) == ["per_image.csv", "scores.json"]


def test_value_ignored_pixels_and_ids(tmp_path):
    levels, ids = RANDOM.integers(0, 255, (30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    ids[5:20, 10:30], ids[18:24] = 2, 255
    for folder, inside in (("a", 0), ("b", 255)):
        write(tmp_path / folder / "x.png", np.where(ids == 255, inside, levels).astype(np.uint8))
    write(tmp_path / "gt/x.png", ids)
    options = {"foreground": [2], "ignore": [255], "metrics": ("all",)}
    comparison = compare_folders({"a": tmp_path / "a", "b": tmp_path / "b"}, tmp_path / "gt", **options)
    scores = comparison.scores()
    assert scores["a"] == scores["b"]
    assert scores["a"]["all"] == evaluate_folders(tmp_path / "a", tmp_path / "gt", **options)
    comparison.write(tmp_path / "out")
    assert not any(note.kind == "masks of 0 and 1" for note in comparison.notes)
    with pytest.raises(ValueError, match="label ids.*foreground= says which ids are foreground"):
        evaluate_folders(tmp_path / "a", tmp_path / "gt")
    write(tmp_path / "gt/x.png", np.full_like(ids, 255))
    with pytest.raises(ValueError, match="x.png: each pixel is ignored"):
        evaluate_folders(tmp_path / "a", tmp_path / "gt", **options)
