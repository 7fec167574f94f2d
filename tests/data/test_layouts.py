import shutil

import numpy as np
import pytest
from PIL import Image

from dichoseg.data import open_folders
from dichoseg.data.layouts import folders_to_score, open_data, samples_of


def fill(folder, *names, mode="L"):
    folder.mkdir(parents=True)
    for name in names:
        Image.fromarray(np.full((8, 8), 255, np.uint8)).convert(mode).save(folder / f"{name}.png")


@pytest.fixture
def root(tmp_path):
    for part in ("im", "gt"):
        fill(tmp_path / "train" / part, "a", "b", "c")
        fill(tmp_path / "val" / part, "v")
    return tmp_path


def names(dataset):
    return [name for name, _, _ in dataset.files]


def test_value_validation_set_beside_the_training_set(root):
    training, validation = open_folders(root)
    assert (names(training), names(validation)) == (["a", "b", "c"], ["v"])
    shutil.rmtree(root / "val")
    assert open_folders(root)[1] is None


def test_value_samples_to_score(root):
    assert names(samples_of(root)) == ["v"]
    assert names(samples_of(root / "train")) == ["a", "b", "c"]
    pairs = [(1, 2)]
    assert samples_of(pairs) is pairs


def test_value_validation_set_elsewhere_or_split_off(root):
    shutil.copytree(root / "val", root / "other/place")
    assert names(open_folders(root, val=root / "other/place")[1]) == ["v"]
    training, validation = open_folders(root, val_fraction=0.3, seed=2)
    assert (len(training), len(validation)) == (2, 1)
    assert names(validation) == names(open_folders(root, val_fraction=0.3, seed=2)[1])


def test_value_options_reach_the_data_sets(root):
    (root / "val/im/w.png").write_text("no mask")
    for part in ("train", "val"):
        (root / part / "im").rename(root / part / "photos")
    training, validation = open_folders(root, images="photos", resize_masks=True, strict=False)
    assert training.resize_masks
    assert validation.resize_masks
    assert [problem.name for problem in validation.left_out] == ["w"]


def test_error_two_validation_sets(root):
    with pytest.raises(ValueError, match="val and val_fraction exclude each other"):
        open_folders(root, val=root / "val", val_fraction=0.1)


def test_error_validation_set_within_the_training_set(tmp_path):
    fill(tmp_path / "cut-outs", "a", "b", mode="RGBA")
    fill(tmp_path / "cut-outs/val", "v", mode="RGBA")
    with pytest.raises(ValueError, match=r"1 images .*v.png"):
        open_folders(tmp_path / "cut-outs", masks="alpha")


def test_value_folders_in_place_of_data_sets(root):
    shutil.copytree(root / "val", root / "other")
    samples = ["any data set"]
    for given, wanted in (
        ((root, None), (["a", "b", "c"], ["v"])),
        ((str(root), str(root / "other")), (["a", "b", "c"], ["v"])),
        ((root, samples), (["a", "b", "c"], samples)),
        ((samples, root / "other"), (samples, ["v"])),
        ((samples, None), (samples, None)),
    ):
        opened = open_data(*given)
        assert tuple(names(part) if hasattr(part, "files") else part for part in opened) == wanted
    with pytest.raises(FileNotFoundError, match="no images and masks in .*none"):
        open_data(root / "none", None)


def test_value_folders_to_score(root):
    assert folders_to_score(root) == (root / "val/im", root / "val/gt")
    assert folders_to_score(root / "val") == (root / "val/im", root / "val/gt")
