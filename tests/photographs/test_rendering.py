import io

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg.data import read_image
from dichoseg.photographs.opened import OpenedPhotograph
from dichoseg.photographs.rendering import Rendering

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (65, 97, 3), np.uint8)
PROBABILITY = np.zeros((65, 97), np.float32)
PROBABILITY[10:30, 20:50] = RANDOM.random((20, 30), np.float32) * 0.5 + 0.5


def rendering(**options):
    default = {"cutout": False, "background": None, "format": "png", "threshold": None, "crop": False}
    return Rendering(**{**default, "estimate": False, **options})


def rendered(photograph=None, probability=PROBABILITY, **options):
    photograph = photograph or OpenedPhotograph(PIXELS)
    picture = Image.open(io.BytesIO(rendering(**options).encoded(photograph, probability)))
    picture.load()
    return picture


@pytest.mark.parametrize("format", ["png", "webp"])
def test_value_masks_are_exact(format):
    picture = rendered(format=format)
    assert picture.format.lower() == format
    assert np.array_equal(np.array(picture.convert("L")), (PROBABILITY * 255).round().astype(np.uint8))


def test_value_threshold():
    mask = np.array(rendered(threshold=0.75))
    assert np.array_equal(mask, np.where(PROBABILITY >= 0.75, 255, 0))
    assert (np.array(rendered(threshold=0)) == 255).all()
    assert (np.array(rendered(threshold=1)) == 255).sum() == (PROBABILITY == 1).sum()
    assert np.array_equal(np.array(rendered(threshold=0.75, cutout=True))[..., 3], mask)


@pytest.mark.parametrize("options", [{}, {"cutout": True}, {"cutout": True, "background": "red"}])
def test_value_crop(options):
    whole, cropped = rendered(**options), rendered(crop=True, **options)
    assert cropped.size == (30, 20)
    assert np.array_equal(np.array(cropped), np.array(whole)[10:30, 20:50])
    assert rendered(probability=PROBABILITY * 0, crop=True, **options).size == (97, 65), "nothing there: all"


def test_value_mask_and_cut_out_of_a_transparent_photograph_are_cropped_alike():
    alpha = np.zeros((65, 97), np.uint8)
    alpha[15:60, 25:40] = 255
    photograph = OpenedPhotograph(PIXELS, alpha)
    for cutout in (False, True):
        assert rendered(photograph, crop=True, cutout=cutout).size == (15, 15)


@pytest.mark.parametrize(("format", "mode"), [("png", "RGBA"), ("webp", "RGBA"), ("png", "RGB"), ("jpg", "RGB")])
def test_value_cut_outs(format, mode):
    smooth = np.broadcast_to(np.linspace(0, 255, 97).astype(np.uint8)[None, :, None], (65, 97, 3)).copy()
    background = "#0000ff" if mode == "RGB" else None
    picture = rendered(OpenedPhotograph(smooth), cutout=True, background=background, format=format)
    pixels, mask = np.array(picture).astype(int), (PROBABILITY * 255).round()[..., None]
    assert picture.mode == mode
    if mode == "RGBA":
        assert np.array_equal(pixels[..., 3], mask[..., 0])
        assert np.abs(pixels[..., :3] - smooth)[mask[..., 0] == 255].max(initial=0) < 10
    else:
        wanted = (smooth * mask + (0, 0, 255) * (255 - mask)) / 255
        assert np.abs(pixels - wanted).mean() < 4


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "CMYK", "I;16", "F"])
def test_value_pixels_are_what_read_image_gives(mode, tmp_path):
    picture = Image.fromarray(PIXELS)
    picture = {
        "I;16": Image.fromarray(RANDOM.integers(0, 65536, (65, 97), np.uint16)),
        "F": Image.fromarray(PROBABILITY),
    }.get(mode) or picture.convert(mode)
    picture.save(tmp_path / "a.tif")
    pixels = OpenedPhotograph.read(tmp_path / "a.tif").pixels
    image = read_image(tmp_path / "a.tif")
    as_tensor = pixels if isinstance(pixels, torch.Tensor) else torch.from_numpy(pixels).permute(2, 0, 1) / 255
    assert torch.equal(as_tensor, image)
    cut = np.array(rendered(OpenedPhotograph.read(tmp_path / "a.tif"), cutout=True))
    seen = cut[..., 3] > 0
    assert np.array_equal(cut[seen][:, :3], (image * 255).round().byte().permute(1, 2, 0).numpy()[seen])


def test_error_options():
    with pytest.raises(ValueError, match="format must be one of png, webp, jpg, avif, gif; got 'bmp'"):
        rendering(format="bmp")
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"threshold.*{threshold}"):
            rendering(threshold=threshold)
    with pytest.raises(
        ValueError, match="a jpg file has no alpha channel for a cut-out; choose png or webp, or a back"
    ):
        rendering(cutout=True, format="jpg")
    with pytest.raises(ValueError, match="background is for cut-outs only; choose cutout=True"):
        rendering(background="white")
    with pytest.raises(ValueError, match="background must be a color .* got 'whitish'"):
        rendering(cutout=True, background="whitish")
    with pytest.raises(ValueError, match="margin is for cropped results only.*margin=5"):
        rendering(margin=5)
    with pytest.raises(ValueError, match=r"quality must be .*; got 101"):
        rendering(format="jpg", quality=101)
    for options in ({}, {"cutout": True}, {"format": "webp"}):
        with pytest.raises(ValueError, match="the result is lossless, so quality=50 has no effect"):
            rendering(quality=50, **options)


def test_error_pillow_without_avif(monkeypatch):
    monkeypatch.delitem(Image.SAVE, "AVIF")
    with pytest.raises(ValueError, match="cannot write avif; wanted one of 11.3 or later"):
        rendering(format="avif")


def test_value_margin():
    assert rendered(crop=True, margin=5).size == (40, 30)
    assert rendered(crop=True, margin=1000).size == (97, 65)
    whole, cropped = rendered(), rendered(crop=True, margin=5)
    assert np.array_equal(np.array(cropped), np.array(whole)[5:35, 15:55])


@pytest.mark.parametrize(("format", "options"), [("jpg", {}), ("webp", {"cutout": True}), ("avif", {"cutout": True})])
def test_value_quality(format, options):
    sizes = [
        len(rendering(format=format, quality=q, **options).encoded(OpenedPhotograph(PIXELS), PROBABILITY))
        for q in (10, 90)
    ]
    assert sizes[0] < 0.7 * sizes[1]


def test_value_avif():
    assert np.array_equal(np.array(rendered(format="avif").convert("L")), (PROBABILITY * 255).round().astype(np.uint8))
    cut = rendered(format="avif", cutout=True)
    assert (cut.format, cut.mode) == ("AVIF", "RGBA")
    assert np.abs(np.array(cut)[..., 3] - (PROBABILITY * 255).round()).max() <= 8


def test_value_the_alpha_of_the_photograph_stays():
    alpha = np.full((65, 97), 255, np.uint8)
    alpha[:15], alpha[15:20] = 0, 128
    cut = np.array(rendered(OpenedPhotograph(PIXELS, alpha), cutout=True))
    assert np.array_equal(cut[..., 3], ((PROBABILITY * 255).round() * alpha / 255).round())
    assert rendered(OpenedPhotograph(PIXELS, alpha), cutout=True, crop=True).size == (30, 15)
    white = np.array(rendered(OpenedPhotograph(PIXELS, alpha), cutout=True, background="white"))
    assert (white[:15] == 255).all()
    assert np.array_equal(np.array(rendered(OpenedPhotograph(PIXELS, alpha))), (PROBABILITY * 255).round())


def test_value_the_background_is_not_in_the_file():
    hidden = (PROBABILITY * 255).round() == 0
    cut = np.array(rendered(cutout=True))
    assert (cut[hidden] == 0).all()
    assert np.array_equal(cut[~hidden][:, :3], PIXELS[~hidden])
    assert np.array_equal(np.array(rendered(cutout=True, keep_colors=True))[..., :3], PIXELS)


def test_value_a_picture_as_background(tmp_path):
    backdrop = np.zeros((130, 400, 3), np.uint8)
    backdrop[:, 200:] = 255
    Image.fromarray(backdrop).save(tmp_path / "beach.png")
    cut = np.array(rendered(cutout=True, background=str(tmp_path / "beach.png"), format="png"))
    assert cut.shape == (65, 97, 3)
    assert (cut[40:, :40] == 0).all(), "the middle of the picture, in the photograph's shape"
    assert (cut[40:, 60:] == 255).all()
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="text.png is not an image that can be read"):
        rendering(cutout=True, background=str(tmp_path / "text.png"))


@pytest.mark.parametrize("options", [{}, {"cutout": True, "background": "white"}])
@pytest.mark.parametrize(("format", "limit"), [("webp", 16383), ("jpg", 65500)])
@pytest.mark.parametrize("turned", [False, True])
def test_error_the_format_cannot_hold_it(format, limit, turned, options):
    def encode(side, **more):
        pixels = np.zeros((side, 1, 3) if turned else (1, side, 3), np.uint8)
        probability = np.zeros(pixels.shape[:2], np.float32)
        probability.flat[3:7] = 1
        return rendered(OpenedPhotograph(pixels), probability, **{"format": format, **options, **more})

    assert max(encode(limit).size) == limit
    size = f"1x{limit + 1}" if turned else f"{limit + 1}x1"
    with pytest.raises(ValueError, match=f"has {size} pixels; a {format} file holds at most {limit} per side"):
        encode(limit + 1)
    assert max(encode(limit + 1, format="png").size) == limit + 1
    assert max(encode(limit + 1, crop=True).size) == 4, "cropped, it fits"


@pytest.mark.parametrize("options", [{}, {"cutout": True, "background": "white"}])
def test_value_jpg_is_of_quality_95(options):
    # the standard's tables begin with 16 and 17, of which quality 95 takes 200 - 2 * 95 = 10 percent
    tables = rendered(format="jpg", **options).quantization
    assert [table[0] for table in tables.values()] == [2, 2][: len(tables)]


def test_value_threads_reach_the_estimate(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "dichoseg.photographs.cutout.estimate_foreground",
        lambda photograph, mask, *, threads: seen.append(threads) or photograph,
    )
    for threads in (None, 3):
        rendered(cutout=True, estimate=True, threads=threads)
    assert seen == [None, 3]
