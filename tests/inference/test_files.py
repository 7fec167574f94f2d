import pytest
from PIL import Image

from dichoseg import Predictor
from dichoseg.inference import predict_files


def test_value_one_bad_file_is_reported_and_the_rest_done(small_isnet, tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    Image.new("RGB", (20, 10), "red").save(tmp_path / "in/sub/good.jpg")
    (tmp_path / "in/bad.png").write_text("no picture")
    failures = predict_files(Predictor(small_isnet), [tmp_path / "in"], tmp_path / "out", cutout=True)
    assert len(failures) == 1
    assert "bad.png" in failures[0]
    with Image.open(tmp_path / "out/sub/good.png") as cutout:
        assert (cutout.mode, cutout.size) == ("RGBA", (20, 10))
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["good.png"]


def test_error_sources(small_isnet, tmp_path):
    with pytest.raises(ValueError, match="no photographs in"):
        predict_files(Predictor(small_isnet), [tmp_path], tmp_path / "out")
