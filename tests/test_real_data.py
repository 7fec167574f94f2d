"""Real photographs, where the environment variable DICHOSEG_TEST_DATA says that they are."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dichoseg import FolderDataset, fit, predict
from dichoseg.augmentations import gpu_augmentation
from dichoseg.data import find_folders

DATA = Path(os.environ.get("DICHOSEG_TEST_DATA", "nowhere"))
pytestmark = pytest.mark.skipif(not (DATA / "ecssd").is_dir(), reason="no real data here")


def test_value_train_and_predict_on_photographs(small_isnet, tmp_path):
    training = FolderDataset(*find_folders(DATA / "ecssd"))
    validation = FolderDataset(*find_folders(DATA / "ecssd", part="val"))
    assert (len(training), len(validation)) == (700, 100)
    training.files, validation.files = training.files[:8], validation.files[:4]
    history = fit(
        small_isnet, training, val_data=validation, augmentation=gpu_augmentation(), epochs=2, batch_size=4,
        out=tmp_path / "run",
    )  # fmt: skip
    assert history[1]["loss"] < history[0]["loss"]
    sample = validation[0]
    mask = predict(sample.image, small_isnet)
    assert mask.shape == tuple(sample.mask.shape[1:])
    assert np.isfinite(mask).all()


def test_value_report_of_masks_of_another_size():
    folders = find_folders(DATA / "human")
    report = FolderDataset(*folders).report()
    assert Counter(problem.kind for problem in report.errors) == {"size mismatch": 198}
    assert len(FolderDataset(*folders).without(report.unusable)) == 290 - 198
    dataset = FolderDataset(*folders, resize_masks=True)
    assert len(dataset) == 290
    for index in range(0, 290, 29):
        image, mask, _ = dataset[index]
        assert image.shape[-2:] == mask.shape[-2:]
        assert 0 == mask.min() < mask.max() <= 1
    report = dataset.report()
    assert not report.errors
    # 102.jpg and 270.jpg are one file
    assert Counter(problem.kind for problem in report.warnings) == {"resized mask": 198, "same image twice": 1}


def test_value_report_of_training_and_validation():
    training, validation = (FolderDataset(*find_folders(DATA / "ecssd", part=part)) for part in ("train", "val"))
    report = training.report(other=validation)
    assert (report.pairs, report.problems) == (700, ())
    assert "same image twice" not in validation.report().text()
    assert len(validation.report(other=validation).warnings) == 100  # each is in both


def test_error_masks_of_another_size_are_named():
    dataset = FolderDataset(DATA / "human/im", DATA / "human/gt")
    messages = []
    for index in range(0, len(dataset), 10):
        try:
            dataset[index]
        except ValueError as error:
            messages.append(str(error))
    assert messages
    assert all("pixels but its image" in message for message in messages)
