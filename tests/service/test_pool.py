from concurrent.futures import ThreadPoolExecutor

import pytest

from dichoseg import GTEncoder, Predictor, save_model
from dichoseg.service.pool import ModelPool
from dichoseg.weights.cache import own_path, part_of
from dichoseg.weights.catalogue import find_weights


def loaded(sources, limit):
    pool = ModelPool(sources, Predictor, limit=limit)
    load(pool)
    return pool


def load(pool):
    with ThreadPoolExecutor(1) as network:
        pool.load(network)


@pytest.fixture
def sources(small_isnet, tmp_path):
    names = "abc"
    for name in names:
        save_model(small_isnet, tmp_path / name)
    return {name: tmp_path / name for name in names}


def test_value_least_recently_used_is_dropped(sources):
    size = loaded({"a": sources["a"]}, limit=0).bytes
    pool = loaded(sources, limit=2.5 * size)
    assert pool.names == ("a", "b", "c")
    assert pool.loaded == ("b", "a"), "the default was loaded last"
    assert pool.bytes == 2 * size
    pool.predictor("b")
    pool.predictor("c")
    assert pool.loaded == ("b", "c")


def test_value_loaded_once(sources):
    pool = loaded(sources, limit=1e9)
    assert pool.predictor("a") is pool.predictor("a")
    assert sorted(pool.loaded) == ["a", "b", "c"]


def test_error_models(sources, small_isnet, tmp_path):
    with pytest.raises(ValueError, match="models is empty"):
        ModelPool({}, Predictor, limit=0)
    with pytest.raises(FileNotFoundError, match="absent"):
        loaded({**sources, "d": tmp_path / "absent"}, limit=0)
    save_model(GTEncoder.like(small_isnet), tmp_path / "gt")
    with pytest.raises(ValueError, match="this is a GT encoder"):
        loaded({"gt": tmp_path / "gt"}, limit=0)


def test_value_says_what_it_loads(sources, tmp_path, monkeypatch):
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path))
    monkeypatch.setenv("DICHOSEG_OFFLINE", "1")
    pool = ModelPool({"a": sources["a"], "u2netp": "u2netp"}, Predictor, limit=1e9)
    record = find_weights("u2netp")
    assert pool.loading == f"downloading u2netp, {record.megabytes} MB"
    part = part_of(own_path(record))
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(2_000_000))
    assert pool.loading == f"downloading u2netp, 2 of {record.megabytes} MB"
    with pytest.raises(FileNotFoundError, match="u2netp is not on this machine"):
        load(pool)
    pool = ModelPool({"a": sources["a"]}, Predictor, limit=0)
    assert pool.loading == "loading a"
    load(pool)
    assert pool.loading is None
