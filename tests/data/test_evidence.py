"""Masks that would train the wrong thing, each refused or read as it is meant; and others that must not be refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import FolderDataset
from dichoseg.data import read_mask
from dichoseg.data.evidence import alpha_is_mask, colors_of, is_trimap, label_ids_of

CASES = Path(__file__).parents[1] / "cases"
ROWS, COLUMNS = np.mgrid[:65, :97]
SOFT = np.clip((25 - np.hypot(ROWS - 32, COLUMNS - 48)) / 4 + 0.5, 0, 1)
HARD = (SOFT > 0.5).astype(np.uint8) * np.uint8(255)
GRAY = (SOFT * 255).round().astype(np.uint8)


def kinds(tmp_path, mask):
    """Kinds of the problems of one pair."""
    for folder in ("im", "gt"):
        (tmp_path / folder).mkdir()
    with Image.open(mask) as picture:
        noise = np.random.default_rng(0).integers(0, 256, (*picture.size[::-1], 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "im/a.png")
    (tmp_path / f"gt/a{mask.suffix}").write_bytes(mask.read_bytes())
    return [problem.kind for problem in FolderDataset(tmp_path / "im", tmp_path / "gt").report().problems]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mask_id1_void255.png", "the mask's values are 0, 1, 255, so it seems to hold label ids; .*ignore=255"),
        ("mask_yellow_on_black.png", r"the mask has colors, such as \(255, 255, 0\)"),
        ("mask_red_on_green.png", r"the mask has colors, such as .*\(255, 0, 0\)"),
    ],
)
def test_error_masks_of_something_else(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        read_mask(CASES / name)
    assert kinds(tmp_path, CASES / name) == ["label ids"]


def test_value_an_id_is_chosen():
    assert abs(float(read_mask(CASES / "mask_id1_void255.png", foreground=[1]).mean()) - 0.17) < 0.04


def test_value_alpha_of_one_pixel_is_no_mask(tmp_path):
    assert abs(float(read_mask(CASES / "mask_opaque_but_one_pixel.png").mean()) - 0.2) < 0.01
    assert kinds(tmp_path, CASES / "mask_opaque_but_one_pixel.png") == []


def test_value_a_compressed_empty_mask_is_empty(tmp_path):
    assert float(read_mask(CASES / "mask_black_noisy.jpg").max()) < 0.05
    assert kinds(tmp_path, CASES / "mask_black_noisy.jpg") == ["empty mask"]


@pytest.mark.parametrize("peak", [2, 4])
@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.avif", "jpeg.png", "jpeg.tif", "a.jp2", "a.j2k"])
def test_value_an_empty_mask_of_any_lossy_format(tmp_path, name, peak):
    noise = np.random.default_rng(0).integers(0, peak, HARD.shape).astype(np.uint8)
    options = {
        "jpeg.png": {"format": "JPEG"},
        "jpeg.tif": {"compression": "jpeg"},
        "a.jp2": {"irreversible": True, "quality_mode": "rates", "quality_layers": [4]},
        "a.j2k": {"irreversible": True, "quality_mode": "rates", "quality_layers": [4]},
    }
    Image.fromarray(noise).save(tmp_path / name, **options.get(name, {}))
    assert float(read_mask(tmp_path / name).max()) < 0.02
    assert kinds(tmp_path, tmp_path / name) == ["empty mask"]


@pytest.mark.parametrize("name", ["a.webp", "a.tif", "a.jp2"])
def test_error_label_ids_in_a_lossless_format(tmp_path, name):
    options = {"a.webp": {"lossless": True}, "a.tif": {"compression": "tiff_lzw"}, "a.jp2": {}}[name]
    Image.fromarray(HARD // 255 * 2).save(tmp_path / name, **options)
    with pytest.raises(ValueError, match="the mask's values are 0, 2, so it seems to hold label ids"):
        read_mask(tmp_path / name)
    Image.fromarray(HARD // 255).save(tmp_path / name, **options)
    assert float(read_mask(tmp_path / name).max()) == 1


@pytest.mark.parametrize(("ignored", "dtype", "name"), [(65535, np.uint16, "a.png"), (-1, np.int32, "a.tif")])
def test_error_deep_ids_beside_an_ignored_value(tmp_path, ignored, dtype, name):
    ids = (HARD // 255).astype(dtype)
    ids[:9] = ignored
    Image.fromarray(ids).save(tmp_path / name)
    with pytest.raises(ValueError, match=f"values are .*{ignored}.* pass ignore={ignored}"):
        read_mask(tmp_path / name)
    assert torch.equal(read_mask(tmp_path / name, ignore=[ignored])[0] == 1, torch.from_numpy(ids == 1))


def test_value_a_trimap_is_reported(tmp_path):
    assert kinds(tmp_path, CASES / "trimap_0_128_255.png") == ["trimap"]
    assert not is_trimap(SOFT.astype(np.float32))
    assert not is_trimap((HARD / 255).astype(np.float32))
    assert not is_trimap(np.zeros((5, 5), np.float32))


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "resized.png"])
def test_value_a_trimap_whose_levels_are_not_exact(tmp_path, name):
    distance = np.hypot(ROWS - 32, COLUMNS - 48)
    trimap = Image.fromarray(np.where(distance < 15, 255, np.where(distance < 25, 128, 0)).astype(np.uint8))
    if name == "resized.png":
        trimap = trimap.resize((150, 100), Image.Resampling.BILINEAR)
    trimap.save(tmp_path / name, quality=60)
    assert kinds(tmp_path, tmp_path / name) == ["trimap"]


@pytest.mark.parametrize("quality", [20, 60, 95])
def test_value_soft_masks_are_no_trimaps(tmp_path, quality):
    wide = np.clip((25 - np.hypot(ROWS - 32, COLUMNS - 48)) / 30 + 0.5, 0, 1)
    for values in (SOFT, wide, HARD / 255):
        Image.fromarray((values * 255).astype(np.uint8)).save(tmp_path / "a.jpg", quality=quality)
        assert not is_trimap(read_mask(tmp_path / "a.jpg")[0].numpy())
    half = np.asarray(Image.fromarray(HARD[:64, :96]).reduce(2)) / np.float32(255)
    assert not is_trimap(half), "an edge of single gray pixels"


def test_value_a_mask_of_nearly_all_pixels_is_reported(tmp_path):
    mask = np.full((65, 97), 255, np.uint8)
    mask[0, :30] = 0
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert kinds(tmp_path, tmp_path / "m.png") == ["full mask"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("ids", [(0, 1, 2, 255), (0, 5, 20, 250), (0, 1, 128), (7, 26, 255), (0, 1, 65535)])
def test_value_ids_beside_a_large_value(ids, dtype):
    if dtype is np.uint8 and ids[-1] > 255:
        ids = (0, 1, 254)
    mask = np.random.default_rng(0).choice(np.array(ids, dtype), (65, 97))
    assert label_ids_of(mask, is_deep=dtype is not np.uint8) == list(ids)


@pytest.mark.parametrize("ids", [(1, 2, 255), (2, 3, 254), (1, 2, 3, 65535)])
def test_value_areas_of_ids_without_a_zero(ids):
    mask = np.full(HARD.shape, ids[0], np.uint16)
    mask[10:50, 20:60] = ids[1]
    mask[10:50, 60:64] = ids[-2]
    mask[50:52, 20:64] = ids[-1]
    assert label_ids_of(mask, is_deep=True) == list(ids)
    if ids[-1] < 256:
        assert label_ids_of(mask.astype(np.uint8), is_deep=False) == list(ids)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_value_deep_instance_ids(dtype):
    mask = np.random.default_rng(0).choice(np.array([0, 7001, 26001, 26002], dtype), (13, 10))
    mask = mask.repeat(5, axis=0).repeat(10, axis=1)
    assert label_ids_of(mask, is_deep=True) == [0, 7001, 26001, 26002]
    for white in (255, 65535):
        assert label_ids_of(HARD.astype(dtype) // 255 * white, is_deep=True) == []
    assert label_ids_of(GRAY.astype(np.int64) * 256, is_deep=True) == []
    noise = np.random.default_rng(0).integers(20, 60, (65, 97)) * 201
    assert label_ids_of(noise, is_deep=True) == [], "a faint, soft mask"


def test_value_masks_that_hold_no_ids():
    faint = HARD.copy()
    faint[0, 0] = 1
    haze = np.where(HARD > 0, HARD, np.random.default_rng(0).integers(0, 31, HARD.shape)).astype(np.uint8)
    dark = np.where(HARD > 0, HARD, np.random.default_rng(0).integers(1, 3, HARD.shape)).astype(np.uint8)
    for mask in (
        HARD,
        GRAY,
        faint,
        haze,
        dark,
        HARD // 255,
        GRAY // 64 * 64,
        np.where(HARD > 0, 255, 1).astype(np.uint8),
    ):
        assert label_ids_of(mask, is_deep=False) == []


def test_value_colors():
    gray = np.dstack([GRAY, GRAY, GRAY])
    assert colors_of(gray) == []
    assert colors_of(np.dstack([GRAY, GRAY, np.maximum(GRAY, 12)])) == [], "as JPEG makes them"
    thin = gray * 0
    thin[32] = (255, 255, 0)
    assert colors_of(thin) == [(255, 255, 0)]
    assert colors_of(thin * 0) == []


def test_value_alpha_or_colors():
    def white(mask):
        return np.dstack([mask] * 3)

    photograph = np.random.default_rng(0).integers(0, 256, (65, 97, 3), np.uint8)
    one = np.full_like(HARD, 255)
    one[0, 0] = 0
    nearly_opaque = np.random.default_rng(0).integers(250, 256, HARD.shape).astype(np.uint8)
    for pixels, alpha, is_alpha in (
        (photograph, GRAY, True),
        (white(HARD * 0), GRAY, True),
        (white(GRAY), GRAY, True),
        (white(HARD), one, False),
        (white(HARD), nearly_opaque, False),
    ):
        assert alpha_is_mask(pixels, alpha, "a.png") is is_alpha
    with pytest.raises(
        ValueError, match=r"a.png: its colors and its alpha channel are different masks, of mean 0.31 and"
    ):
        alpha_is_mask(white(HARD), 255 - HARD, "a.png")


def test_value_a_palette_with_transparency(tmp_path):
    one_color = Image.fromarray(HARD // 255).convert("L")
    palette = Image.frombytes("P", one_color.size, one_color.tobytes())
    for colors, transparency in (((0, 0, 0, 0, 0, 0), 0), ((0, 0, 0, 128, 0, 0), bytes([0, 255]))):
        palette.putpalette(colors)
        palette.save(tmp_path / "a.png", transparency=transparency)
        assert torch.equal(read_mask(tmp_path / "a.png")[0] == 1, torch.from_numpy(HARD > 0))
    photograph = np.random.default_rng(0).integers(0, 256, (65, 97, 3), np.uint8)
    cutout = Image.fromarray(np.dstack([photograph, GRAY])).quantize(64)
    cutout.save(tmp_path / "a.png")
    assert abs(float(read_mask(tmp_path / "a.png").mean()) - SOFT.mean()) < 0.05


def test_error_a_palette_of_ids_whose_background_is_transparent(tmp_path):
    ids = np.where(HARD > 0, 1, 0).astype(np.uint8)
    ids[:9] = 2
    palette = Image.frombytes("P", ids.shape[::-1], ids.tobytes())
    palette.putpalette((0, 0, 0, 128, 0, 0, 224, 224, 192))
    palette.save(tmp_path / "a.png", transparency=0)
    with pytest.raises(ValueError, match="the mask's palette has colors that are not gray"):
        read_mask(tmp_path / "a.png")
