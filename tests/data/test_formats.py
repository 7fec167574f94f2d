from pathlib import Path

import pytest
from PIL import Image

from dichoseg.data import decoding, formats, pixel_limit, read_image
from dichoseg.data.decoding import open_image
from dichoseg.data.finding import images_and_others
from dichoseg.data.formats import lacks_heif, usable_endings
from dichoseg.photographs.planning import plan_files
from dichoseg.photographs.rendering import Rendering
from dichoseg.untrusted import UnusableFileError

CASES = Path(__file__).parents[1] / "cases"


@pytest.mark.parametrize("format", ["EPS", "PDF", "XBM"])
def test_error_formats_that_are_not_read(tmp_path, format, monkeypatch):
    import subprocess

    calls = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_kwargs: calls.append(1))
    monkeypatch.setattr(subprocess, "check_call", lambda *_args, **_kwargs: calls.append(1))
    Image.new("1" if format == "XBM" else "RGB", (64, 48)).save(tmp_path / "photo.jpg", format)
    for source in (tmp_path / "photo.jpg", (tmp_path / "photo.jpg").read_bytes()):
        with pytest.raises(UnusableFileError, match="is not an image that can be read$"):
            open_image(source)
    assert not calls


def test_value_heic_with_pillow_heif():
    pytest.importorskip("pillow_heif")
    turned = read_image(CASES / "phone.heic") - read_image(CASES / "photo.jpg")
    assert turned.abs().mean() < 0.02
    assert {".heic", ".jpg", ".png", ".webp", ".tif", ".avif"} <= usable_endings()


def test_error_heic_without_pillow_heif(monkeypatch, tmp_path):
    monkeypatch.setattr(formats, "usable_formats", lambda: ("JPEG", "PNG"))
    monkeypatch.setattr(decoding, "usable_formats", lambda: ("JPEG", "PNG"))
    with pytest.raises(UnusableFileError, match=r"phone.heic is not an image .*pip install 'dichoseg\[heif\]'"):
        open_image(CASES / "phone.heic")
    assert lacks_heif("a.HEIC")
    assert not lacks_heif("a.jpg")
    (tmp_path / "a.heic").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"")
    rendering = Rendering(cutout=False)
    plan = plan_files([tmp_path], None, rendering, resume=False)
    assert "pip install 'dichoseg[heif]' reads HEIC photographs" in plan.notes[0]


def test_value_only_files_that_can_be_read_are_photographs(tmp_path):
    for name in (
        "a.jpg",
        "clip.mpg",
        "features.h5",
        "photo.eps",
        "@eaDir/a.jpg",
        "Thumbs/a.jpg",
        "__MACOSX/b.jpg",
        "sub/c.TIF",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    images, others = images_and_others(tmp_path)
    assert [path.name for path in images] == ["a.jpg", "c.TIF"]
    assert [path.name for path in others] == ["clip.mpg", "features.h5", "photo.eps"]


def test_value_pixel_limit(tmp_path):
    Image.new("L", (17, 12)).save(tmp_path / "a.png")
    before = Image.MAX_IMAGE_PIXELS
    with pixel_limit(203), pytest.raises(UnusableFileError, match=r"a.png .*204 pixels.*pixel_limit"):
        open_image(tmp_path / "a.png")
    with pixel_limit(204):
        assert open_image(tmp_path / "a.png").size == (17, 12)
    assert before == Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match="pixels must be 2 or more"), pixel_limit(0):
        raise AssertionError
