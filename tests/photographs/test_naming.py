import re
from pathlib import Path

import pytest

from dichoseg.photographs.naming import STREAM, chosen_format, is_one_file, result_path
from dichoseg.photographs.rendering import Rendering


def test_value_a_file_or_a_folder(tmp_path):
    (tmp_path / "folder.png").mkdir()
    assert [is_one_file(tmp_path / name) for name in ("a.png", "a.JPEG", "folder.png", "v1.2", "masks")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert is_one_file(STREAM)
    assert not is_one_file(None)


def test_value_format(tmp_path):
    (tmp_path / "folder.webp").mkdir()
    for out, format, chosen in (
        (None, None, "png"),
        (None, "webp", "webp"),
        (STREAM, "jpg", "jpg"),
        (Path("a.JPEG"), None, "jpg"),
        (Path("a.webp"), "webp", "webp"),
        (Path("masks"), None, "png"),
        (Path("v1.2"), "webp", "webp"),
        (tmp_path / "folder.webp", None, "png"),
    ):
        assert chosen_format(out, format) == chosen


@pytest.mark.parametrize(
    ("out", "format", "message"),
    [
        ("cut.tiff", None, "out must end in .png, .webp, .jpg, .jpeg, .avif, .gif, or be a folder; got cut.tiff"),
        ("cut.png", "webp", "format='webp' is not that of out, cut.png"),
    ],
)
def test_error_format(out, format, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        chosen_format(Path(out), format)


def test_value_names():
    mask, cutout = (
        Rendering(cutout=cutout, background=None, format="webp", threshold=None, crop=False) for cutout in (False, True)
    )
    photograph, name = Path("in/sub/a.b.jpg"), Path("sub/a.b.jpg")
    assert result_path(photograph, name, None, mask) == Path("in/sub/a.b.mask.webp")
    assert result_path(photograph, name, None, cutout) == Path("in/sub/a.b.cutout.webp")
    assert result_path(photograph, name, Path("out"), cutout) == Path("out/sub/a.b.webp")
    assert result_path(photograph, name, Path("x.webp"), cutout) == Path("x.webp")
