import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

from dichoseg.data import read_image
from dichoseg.photographs.opened import OpenedPhotograph, _resolution

from .test_rendering import PIXELS, PROBABILITY, rendered


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
    kept = OpenedPhotograph(PIXELS, kept={"dpi": _resolution(picture)})
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


def camera():
    """EXIF of a camera, with a place, notes of its maker and a preview."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Software], exif[ExifTags.Base.Orientation] = "Maker", "Editor", 1
    exif[ExifTags.Base.XPComment] = b"secret"
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.FocalLength: 35.0, ExifTags.Base.MakerNote: b"preview"})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({ExifTags.GPS.GPSLatitudeRef: "N"})
    return exif


@pytest.mark.parametrize(("format", "background"), [("png", None), ("webp", None), ("avif", None), ("jpg", "white")])
def test_value_exif_of_cut_outs(tmp_path, format, background):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=camera())
    photograph = OpenedPhotograph.read(tmp_path / "a.jpg")
    found = rendered(photograph, cutout=True, format=format, background=background).getexif()
    assert dict(found) == {
        ExifTags.Base.Make: "Maker", ExifTags.Base.Software: "dichoseg",
        ExifTags.IFD.Exif: found[ExifTags.IFD.Exif], ExifTags.IFD.GPSInfo: found[ExifTags.IFD.GPSInfo],
    }  # fmt: skip
    assert found.get_ifd(ExifTags.IFD.Exif) == {ExifTags.Base.FocalLength: 35.0}
    assert found.get_ifd(ExifTags.IFD.GPSInfo) == {ExifTags.GPS.GPSLatitudeRef: "N"}
    for options in ({"cutout": True, "background": background, "drop_exif": True}, {}):
        assert dict(rendered(photograph, format=format, **options).getexif()) == {ExifTags.Base.Software: "dichoseg"}


def test_value_broken_exif_is_dropped(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x87i" * 40)
    photograph = OpenedPhotograph.read(tmp_path / "a.jpg")
    assert rendered(photograph, cutout=True).getexif()[ExifTags.Base.Software] == "dichoseg"


def test_value_alpha_of_photographs(tmp_path):
    alpha = (PROBABILITY * 255).astype(np.uint8)
    Image.fromarray(np.dstack([PIXELS, alpha])).save(tmp_path / "a.png")
    assert np.array_equal(OpenedPhotograph.read(tmp_path / "a.png").alpha, alpha)
    Image.fromarray(np.dstack([PIXELS, alpha * 0 + 255])).save(tmp_path / "opaque.png")
    assert OpenedPhotograph.read(tmp_path / "opaque.png").alpha is None
    Image.fromarray(alpha).convert("P").save(tmp_path / "p.gif", transparency=0)
    assert (OpenedPhotograph.read(tmp_path / "p.gif").alpha == 0).any()


def test_value_the_largest_page_is_taken(tmp_path, caplog):
    page = Image.fromarray(PIXELS)
    page.resize((9, 9)).save(tmp_path / "scan.tif", save_all=True, append_images=[page, page.rotate(180)])
    page.save(tmp_path / "film.gif", save_all=True, append_images=[page.rotate(180)])
    assert np.array_equal(OpenedPhotograph.read(tmp_path / "scan.tif").pixels, PIXELS)
    assert torch.equal(read_image(tmp_path / "scan.tif") * 255, torch.from_numpy(PIXELS).permute(2, 0, 1))
    OpenedPhotograph.read((tmp_path / "film.gif").read_bytes())
    assert caplog.messages == [
        f"{tmp_path / 'scan.tif'} holds 3 pictures; number 2 is taken",
        "the image holds 2 pictures; number 1 is taken",
    ]
