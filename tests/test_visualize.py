import numpy as np
import pytest
from PIL import Image

from dichoseg import FolderDataset
from dichoseg.visualize import (
    _fitting,
    _font,
    contact_sheet,
    data_sheet,
    error_map,
    learning_curves,
    outlined,
    thumbnail,
)


def test_shape_sheet():
    rows = [{"image": np.full((20, 40, 3), 0.5, np.float32), "mask": np.ones((20, 40), np.float32)}] * 2
    sheet = np.array(contact_sheet(rows, tile=32))
    assert sheet.shape == (22 + 8 + 2 * (16 + 8), 8 + 2 * 40, 3)
    assert tuple(sheet[22 + 8 + 8, 8 + 16]) == (128, 128, 128)
    assert tuple(sheet[22 + 8 + 8, 8 + 40 + 16]) == (255, 255, 255)


def test_value_captions_stand_above_their_rows():
    rows = [{"image": np.zeros((32, 32), np.float32)}] * 2
    captioned = np.array(contact_sheet(rows, captions=["", "Ü"], tile=32))
    assert captioned.shape == (22 + 8 + 2 * (22 + 32 + 8), 8 + 40, 3)
    empty, written = captioned[30:52], captioned[30 + 62 : 52 + 62]
    assert (empty == 250).all()
    assert (written < 200).any()


def test_value_long_captions_lose_their_middle():
    font = _font()
    kept = _fitting("a" * 100 + "z" * 100, font, 120)
    assert font.getlength(kept) <= 120
    assert kept.startswith("a")
    assert "…" in kept
    assert kept.endswith("z")


def test_error_rows():
    with pytest.raises(ValueError, match="needs rows of the same columns"):
        contact_sheet([])
    with pytest.raises(ValueError, match="one caption a row; got 2 for 1 rows"):
        contact_sheet([{"image": np.zeros((4, 4), np.float32)}], captions=["a", "b"])


def test_value_error_colours():
    prediction, mask = np.array([[1, 0, 1, 0]], np.float32), np.array([[1, 0, 0, 1]], np.float32)
    assert error_map(prediction, mask).tolist() == [[[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]]]


def test_value_thumbnail_is_a_tile():
    small = thumbnail(np.full((40, 80, 3), 0.5, np.float32), side=20)
    assert small.shape == (10, 20, 3)
    assert small == pytest.approx(0.5, abs=0.01)


def test_value_outline():
    image, mask = np.ones((20, 20, 3), np.float32), np.zeros((20, 20), np.float32)
    mask[5:15, 5:15] = 1
    drawn = outlined(image, mask)
    assert drawn[10, 10].tolist() == [1, 1, 1]
    assert drawn[0, 0] == pytest.approx(0.3)
    assert drawn[5, 10] == pytest.approx([1, 0.2, 0.1])


@pytest.mark.parametrize("validated", [True, False])
def test_shape_curves(validated):
    rows = [{"epoch": float(epoch), "loss": 3.0 - epoch, "bce/main": 1.0, "edge/main": 2.0 - epoch} for epoch in (1, 2)]
    if validated:
        rows = [{**row, "val_loss": 1.0, "quick_mae": 0.1, "quick_max_f": 0.8} for row in rows]
    picture = np.array(learning_curves(rows))
    assert picture.shape == (456, 1200 if validated else 600, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_error_curves_of_nothing():
    with pytest.raises(ValueError, match="at least one epoch"):
        learning_curves([])


def test_value_data_sheet_shows_warned_samples_first(tmp_path):
    for part in ("im", "gt"):
        (tmp_path / part).mkdir()
    for index in range(4):
        mask = np.zeros((32, 32), np.uint8)
        mask[8:24, 8:24] = 0 if index == 2 else 255
        Image.fromarray(np.full((32, 32, 3), 40 * index, np.uint8)).save(tmp_path / f"im/{index}.png")
        Image.fromarray(mask).save(tmp_path / f"gt/{index}.png")
    (tmp_path / "gt/3.png").write_text("no picture")
    dataset = FolderDataset(tmp_path / "im", tmp_path / "gt")
    sheet = np.array(data_sheet(dataset, dataset.report(), rows=2))
    assert sheet.shape == (22 + 8 + 2 * (22 + 192 + 8), 8 + 3 * 200, 3)
    assert (sheet[22 + 8 + 22 + 96, 8 + 96] == 80).all(), "the empty mask's image"
    assert (sheet[22 + 8 + 222 + 22 + 96, 8 + 96] == 0).all(), "then the first of the others"


def test_value_data_sheet_of_warned_samples_alone(tmp_path):
    for part, value in (("im", 90), ("gt", 0)):
        (tmp_path / part).mkdir()
        for name in "ab":
            Image.fromarray(np.full((32, 32), value, np.uint8)).save(tmp_path / part / f"{name}.png")
    dataset = FolderDataset(tmp_path / "im", tmp_path / "gt")
    for rows in (1, 2, 5):
        assert data_sheet(dataset, dataset.report(), rows=rows).height == 30 + min(rows, 2) * 222


def test_error_data_sheet_of_nothing(tmp_path):
    for part in ("im", "gt"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.png").write_text("no picture")
    dataset = FolderDataset(tmp_path / "im", tmp_path / "gt")
    with pytest.raises(ValueError, match="none of the 1 samples can be used"):
        data_sheet(dataset, dataset.report())
