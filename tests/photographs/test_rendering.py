import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from dichoseg.data import read_image
from dichoseg.photographs.rendering import OpenedPhotograph, Rendering, _resolution

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (65, 97, 3), np.uint8)
PROBABILITY = np.zeros((65, 97), np.float32)
PROBABILITY[10:30, 20:50] = RANDOM.random((20, 30), np.float32) * 0.5 + 0.5


def rendering(**options):
    default = {"cutout": False, "background": None, "format": "png", "threshold": None, "crop": False}
    return Rendering(**{**default, "estimate": False, **options})


def rendered(photograph=None, probability=PROBABILITY, **options):
    photograph = photograph or OpenedPhotograph(PIXELS, {})
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


@pytest.mark.parametrize(("format", "mode"), [("png", "RGBA"), ("webp", "RGBA"), ("png", "RGB"), ("jpg", "RGB")])
def test_value_cut_outs(format, mode):
    smooth = np.broadcast_to(np.linspace(0, 255, 97).astype(np.uint8)[None, :, None], (65, 97, 3)).copy()
    background = "#0000ff" if mode == "RGB" else None
    picture = rendered(OpenedPhotograph(smooth, {}), cutout=True, background=background, format=format)
    pixels, mask = np.array(picture).astype(int), (PROBABILITY * 255).round()[..., None]
    assert picture.mode == mode
    if mode == "RGBA":
        assert np.array_equal(pixels[..., 3], mask[..., 0])
        assert np.abs(pixels[..., :3] - smooth)[mask[..., 0] == 255].max(initial=0) < 10
    else:
        wanted = (smooth * mask + (0, 0, 255) * (255 - mask)) / 255
        assert np.abs(pixels - wanted).mean() < 4


def test_value_cut_outs_keep_profile_and_resolution(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", icc_profile=profile, dpi=(300, 300), exif=exif)
    photograph = OpenedPhotograph.read(tmp_path / "a.jpg")
    assert photograph.pixels.shape == (97, 65, 3), "turned"
    for format, background in (("png", None), ("webp", None), ("jpg", "white")):
        picture = rendered(photograph, PROBABILITY.T, cutout=True, format=format, background=background)
        assert picture.size == (65, 97)
        assert picture.info["icc_profile"] == profile
        assert 0x0112 not in picture.getexif()
        if format != "webp":
            assert [round(float(value)) for value in picture.info["dpi"]] == [300, 300]
    mask = rendered(photograph, PROBABILITY.T)
    assert not mask.info.keys() & {"icc_profile", "dpi"}


def test_value_what_would_be_wrong_is_not_kept(tmp_path):
    picture = Image.fromarray(PIXELS)
    grey = b"\0" * 16 + b"GRAY" + b"\0" * 108
    picture.convert("L").save(tmp_path / "grey.png", icc_profile=grey)
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", icc_profile=grey.replace(b"GRAY", b"CMYK"))
    picture.save(tmp_path / "short.png", icc_profile=b"broken")
    for name in ("grey.png", "cmyk.jpg", "short.png"):
        assert OpenedPhotograph.read(tmp_path / name).kept == {}
    for dpi in ((0, 0), (float("nan"), 72), 300, "high", (72,), (1e9, 1e9), (65535.7, 72), (72, 65536)):
        picture.info["dpi"] = dpi
        assert _resolution(picture) is None
    picture.info["dpi"] = (65535, 1)
    kept = OpenedPhotograph(PIXELS, {"dpi": _resolution(picture)})
    assert rendered(kept, cutout=True, background="red", format="jpg").info["dpi"] == (65535, 1)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_value_the_resolution_is_turned_with_the_photograph(tmp_path, ending, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / f"a.{ending}", dpi=(300, 150), exif=exif)
    photograph = OpenedPhotograph.read(tmp_path / f"a.{ending}")
    upright = orientation < 5
    assert photograph.pixels.shape == ((65, 97, 3) if upright else (97, 65, 3))
    assert [round(value) for value in photograph.kept["dpi"]] == ([300, 150] if upright else [150, 300])


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
    assert np.array_equal(cut[..., :3], (image * 255).round().byte().permute(1, 2, 0).numpy())


def test_error_options():
    with pytest.raises(ValueError, match="format must be one of png, webp, jpg; got 'gif'"):
        rendering(format="gif")
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


@pytest.mark.parametrize("options", [{}, {"cutout": True, "background": "white"}])
@pytest.mark.parametrize(("format", "limit"), [("webp", 16383), ("jpg", 65500)])
@pytest.mark.parametrize("turned", [False, True])
def test_error_the_format_cannot_hold_it(format, limit, turned, options):
    def encode(side, **more):
        pixels = np.zeros((side, 1, 3) if turned else (1, side, 3), np.uint8)
        probability = np.zeros(pixels.shape[:2], np.float32)
        probability.flat[3:7] = 1
        return rendered(OpenedPhotograph(pixels, {}), probability, **{"format": format, **options, **more})

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
