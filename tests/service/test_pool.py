import pytest

from dichoseg import GTEncoder, Predictor, save_model
from dichoseg.service.pool import ModelPool


@pytest.fixture
def sources(small_isnet, tmp_path):
    names = "abc"
    for name in names:
        save_model(small_isnet, tmp_path / name)
    return {name: tmp_path / name for name in names}


def test_value_least_recently_used_is_dropped(sources):
    size = ModelPool({"a": sources["a"]}, Predictor, limit=0).bytes
    pool = ModelPool(sources, Predictor, limit=2.5 * size)
    assert pool.names == ("a", "b", "c")
    assert pool.loaded == ("b", "a"), "the default was loaded last"
    assert pool.bytes == 2 * size
    pool.predictor("b")
    pool.predictor("c")
    assert pool.loaded == ("b", "c")


def test_value_loaded_once(sources):
    pool = ModelPool(sources, Predictor, limit=1e9)
    assert pool.predictor("a") is pool.predictor("a")
    assert sorted(pool.loaded) == ["a", "b", "c"]


def test_error_models(sources, small_isnet, tmp_path):
    with pytest.raises(ValueError, match="models is empty"):
        ModelPool({}, Predictor, limit=0)
    with pytest.raises(FileNotFoundError, match="absent"):
        ModelPool({**sources, "d": tmp_path / "absent"}, Predictor, limit=0)
    save_model(GTEncoder.like(small_isnet), tmp_path / "gt")
    with pytest.raises(ValueError, match="this is a GT encoder"):
        ModelPool({"gt": tmp_path / "gt"}, Predictor, limit=0)
