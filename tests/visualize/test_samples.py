import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import FolderDataset, Preprocessing, SyntheticDataset
from dichoseg.augmentations import RandomBlurPatches, RandomCrop
from dichoseg.visualize import data_sheet
from dichoseg.visualize.samples import _caption

TOP, ROW = 60, 222
"""Legend and names of columns; caption, tile and margin of a row."""
SMALL = Preprocessing(size=64)


def folder(path, masks):
    """Pairs 0, 1, ... whose images are ever brighter."""
    for part in ("im", "gt"):
        (path / part).mkdir()
    for index, mask in enumerate(masks):
        Image.fromarray(np.full((*mask.shape, 3), 40 * index, np.uint8)).save(path / f"im/{index}.png")
        Image.fromarray(mask).save(path / f"gt/{index}.png")
    return FolderDataset(path / "im", path / "gt")


def square(height=32, width=32):
    mask = np.zeros((height, width), np.uint8)
    mask[8:20, 8:20] = 255
    return mask


def tile(sheet, row, column):
    top, left = TOP + ROW * row + 22, 8 + 200 * column
    return np.array(sheet)[top : top + 192, left : left + 192]


def test_value_warned_samples_come_first(tmp_path):
    dataset = folder(tmp_path, [square(), square(), np.zeros((32, 32), np.uint8), square()])
    (tmp_path / "gt/3.png").write_text("no picture")
    sheet = data_sheet(dataset, dataset.report(), rows=2, preprocessing=SMALL)
    assert sheet.size == (8 + 4 * 200, TOP + 2 * ROW)
    assert (tile(sheet, 0, 0)[96, 96] == 80).all(), "the empty mask's image"
    assert (tile(sheet, 1, 0)[96, 96] == 0).all(), "then the first of the others"
    assert (tile(sheet, 1, 1)[84, 84] == 255).all(), "its mask"


def test_value_warned_samples_alone(tmp_path):
    dataset = folder(tmp_path, [np.zeros((32, 32), np.uint8)] * 2)
    for rows in (1, 2, 5):
        sheet = data_sheet(dataset, dataset.report(), rows=rows, preprocessing=SMALL)
        assert sheet.height == TOP + min(rows, 2) * ROW


def test_value_draws_show_what_the_augmentation_gives(tmp_path):
    dataset = folder(tmp_path, [square(), square(32, 64)])

    def brighter(image, mask):
        return image.add_(0.5), mask  # in place, which must not reach the next draw

    sheet = data_sheet(dataset, preprocessing=SMALL, augmentation=brighter, draws=2)
    assert sheet.size == (8 + 6 * 200, TOP + ROW + (22 + 192 + 8))
    for column in (4, 5):
        assert tile(sheet, 0, column)[10, 10] == pytest.approx(128, abs=1)
        assert tile(sheet, 1, column)[10, 10] == pytest.approx(168, abs=1)
    assert data_sheet(dataset, preprocessing=SMALL, augmentation=brighter, draws=0).width == 8 + 4 * 200


def test_value_crops_are_of_larger_images(tmp_path):
    seen = []

    class Watching(RandomCrop):
        def forward(self, image, mask):
            result = super().forward(image, mask)
            seen.append((image.shape[-1], result[0].shape[-1]))
            return result

    data_sheet(folder(tmp_path, [square()]), preprocessing=SMALL, augmentation=Watching(1.5), draws=1)
    assert seen == [(96, 64)]


def test_value_draws_are_repeatable():
    scenes = SyntheticDataset(2, size=64)
    sheets = [
        data_sheet(scenes, rows=2, preprocessing=SMALL, augmentation=RandomBlurPatches(4), draws=draws, seed=seed)
        for draws, seed in ((2, 0), (1, 0), (2, 1))
    ]
    assert np.array_equal(tile(sheets[0], 1, 4), tile(sheets[1], 1, 4)), "whatever the number of draws"
    assert not np.array_equal(tile(sheets[0], 1, 4), tile(sheets[0], 1, 5))
    assert not np.array_equal(tile(sheets[0], 1, 4), tile(sheets[2], 1, 4))


def test_value_transforms_act_only_on_draws(tmp_path):
    dataset = folder(tmp_path, [square()])
    dataset.transform = lambda image, mask: {"image": image + 100, "mask": mask}
    sheet = data_sheet(dataset, preprocessing=SMALL, draws=1)
    assert sheet.width == 8 + 5 * 200
    assert (tile(sheet, 0, 0) == 0).all()
    assert (tile(sheet, 0, 4)[10, 10] == 100).all()
    assert dataset.transform is not None


def test_value_global_random_state_stays():
    state = torch.get_rng_state()
    data_sheet(SyntheticDataset(1, size=64), preprocessing=SMALL, augmentation=RandomBlurPatches(1), draws=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_value_captions(tmp_path):
    sample = folder(tmp_path, [square(32, 64)])[0]
    stretched = SMALL.resize(sample.mask[None])
    wanted = "0, 64x32, seen at 64x64, foreground 7.0 %, edge band 3.5 %, soft mask"
    assert _caption(sample, stretched, ["soft mask"]) == wanted
    assert _caption(sample, sample.mask[None], ()).startswith("0, 64x32, foreground")


def test_error_nothing_to_show(tmp_path):
    dataset = folder(tmp_path, [square()])
    report = dataset.report()
    with pytest.raises(ValueError, match=r"rows.*0"):
        data_sheet(dataset, rows=0)
    with pytest.raises(ValueError, match=r"draws.*-1"):
        data_sheet(dataset, draws=-1)
    with pytest.raises(ValueError, match="no samples"):
        data_sheet([])
    with pytest.raises(TypeError, match=r"FolderDataset.*SyntheticDataset"):
        data_sheet(SyntheticDataset(1), report)
    (tmp_path / "im/0.png").write_text("no picture")
    with pytest.raises(ValueError, match="none of the 1 samples"):
        data_sheet(dataset, dataset.report())
