import tracemalloc

import numpy as np
import pytest

from dichoseg.visualize import contact_sheet, thumbnail
from dichoseg.visualize.sheet import PAPER, _font, _shorten, pixelate


def test_value_names_that_cannot_be_drawn():
    sheet = contact_sheet([{"line\nbreak \udce9": np.zeros((9, 9))}], captions=["a\nb\x00\udce9"], tile=64)
    assert sheet.width > 64


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
    kept = _shorten("a" * 100 + "z" * 100, font, 120)
    assert font.getlength(kept) <= 120
    assert kept.startswith("a")
    assert "…" in kept
    assert kept.endswith("z")


def test_value_thumbnail_is_a_tile():
    small = thumbnail(np.full((40, 80, 3), 0.5, np.float32), side=20)
    assert small.shape == (10, 20, 3)
    assert small == pytest.approx(0.5, abs=0.01)


def test_value_large_pictures_shrink_like_small_ones():
    rows, columns = np.mgrid[0:900, 0:1200].astype(np.float32)
    picture = np.stack([rows / 900, columns / 1200, np.full_like(rows, 0.25)], axis=-1)
    small = thumbnail(picture, side=60)
    assert small.shape == (45, 60, 3)
    assert small[22, 30] == pytest.approx(picture[450, 610], abs=0.02)
    assert thumbnail(picture[..., 0], side=60)[..., 1] == pytest.approx(small[..., 0], abs=0.005)
    turned = np.moveaxis(np.ascontiguousarray(np.moveaxis(picture, -1, 0)), 0, -1)  # as a tensor gives it
    assert np.array_equal(thumbnail(turned, side=60), small)


def test_value_large_pictures_are_not_copied():
    picture = np.moveaxis(np.ones((3, 1500, 2000), np.float32), 0, -1)  # as a tensor gives it
    thumbnail(picture)  # what is imported at first use does not count
    tracemalloc.start()
    thumbnail(picture)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < picture.nbytes / 6


def test_value_pixelate_keeps_pixels():
    picture = np.array([[0, 1], [0.2, 0.6]], np.float32)
    large = pixelate(picture, side=8)
    assert large.shape == (8, 8, 3)
    for row in (0, 1):
        for column in (0, 1):
            block = large[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert block == pytest.approx(picture[row, column], abs=0.001)
    assert pixelate(np.ones((40, 80), np.float32), side=20).shape == (10, 20, 3)


def test_value_legend_has_its_colors():
    rows = [{"image": np.zeros((64, 256), np.float32)}]
    plain = np.array(contact_sheet(rows, tile=256))
    explained = np.array(contact_sheet(rows, legend={"edge": (1, 0, 0), "patch": (0, 0, 1)}, tile=256))
    assert len(explained) == len(plain) + 30
    assert np.array_equal(explained[30:], plain)
    for color in ((255, 0, 0), (0, 0, 255)):
        assert (explained[:30] == color).all(axis=-1).sum() == 15 * 13


def test_shape_rows_of_other_names():
    black, white = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    rows = [{"one\n4x4": black, "two": white, "three": black}, {"four": white}]
    sheet = np.array(contact_sheet(rows, captions=["first", "second"], tile=32))
    assert sheet.shape == ((22 + 46 + 40) + (22 + 30 + 40), 8 + 3 * 40, 3)
    assert (sheet[68:100, 8:40] == 0).all()
    assert (sheet[68:100, 48:80] == 255).all()
    assert (sheet[108 + 52 : 108 + 84, 8:40] == 255).all()
    assert (sheet[108 + 52 :, 48:] == PAPER).all(), "nothing next to the only picture of the second row"
    assert (sheet[22:68, 8:40] < 100).any(), "a name"
    assert (sheet[52:68, 48:80] == PAPER).all(), "only the first name has a second line"


@pytest.mark.parametrize(
    ("rows", "captions", "match"),
    [
        ([], None, r"got \[\]"),
        ([{"a": np.zeros((4, 4), np.float32)}, {}], None, r"\['a'\], \[\]"),
        ([{"a": np.zeros((4, 4), np.float32)}], ["a", "b"], "2 for 1"),
    ],
)
def test_error_rows(rows, captions, match):
    with pytest.raises(ValueError, match=match):
        contact_sheet(rows, captions=captions)
