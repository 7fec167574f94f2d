import pytest
from PIL import Image

from dichoseg.data import pixel_limit
from dichoseg.data.decoding import open_image
from dichoseg.untrusted import UnusableFileError


@pytest.mark.parametrize("format", ["EPS", "PDF", "XBM"])
def test_error_formats_that_are_not_read(tmp_path, format, monkeypatch):
    import subprocess

    calls = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_kwargs: calls.append(1))
    monkeypatch.setattr(subprocess, "check_call", lambda *_args, **_kwargs: calls.append(1))
    Image.new("1" if format == "XBM" else "RGB", (64, 48)).save(tmp_path / "photo.jpg", format)
    for source in (tmp_path / "photo.jpg", (tmp_path / "photo.jpg").read_bytes()):
        with pytest.raises(UnusableFileError, match=r"is not an image that can be read \(JPEG, PNG, "):
            open_image(source)
    assert not calls


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
