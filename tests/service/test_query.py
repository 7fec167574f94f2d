import pytest
from PIL import Image
from pydantic import ValidationError

from dichoseg.photographs.rendering import MASK_OPTIONS
from dichoseg.service.query import MEDIA_TYPES, PredictQuery


def test_value_every_format_has_a_media_type():
    assert set(MEDIA_TYPES) == set(MASK_OPTIONS)
    Image.init()
    for kind, media_type in MEDIA_TYPES.items():
        assert Image.MIME[MASK_OPTIONS[kind]["format"]] == media_type


def test_value_rendering():
    mask = PredictQuery().rendering()
    assert (mask.cutout, mask.background, mask.format) == (False, None, "png")
    composite = PredictQuery(kind="composite", format="jpeg", crop=True, margin=3).rendering()
    assert (composite.cutout, composite.background, composite.format) == (True, "white", "jpg")
    assert (composite.crop, composite.margin) == (True, 3)


def test_error_background_is_never_a_path(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"must be a color .*a\.png"):
        PredictQuery(kind="composite", background=str(tmp_path / "a.png")).rendering()
    with pytest.raises(ValueError, match="kind=cutout"):
        PredictQuery(kind="cutout", background="red").rendering()


def test_error_unknown_option():
    with pytest.raises(ValidationError, match="colour"):
        PredictQuery(colour="red")
