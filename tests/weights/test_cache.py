import hashlib
import logging
from pathlib import Path

import pytest
from huggingface_hub import constants

from dichoseg.weights import cache
from dichoseg.weights.cache import cache_folder, cached, is_cached, own_path, remove

from ..web_server import PAYLOAD, SHA256

COMMIT = "0123456789abcdef" * 2 + "01234567"


def put(path, content=PAYLOAD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def hub(web, tmp_path, monkeypatch):
    """A record on the hub, and its place in the hub's cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    record = web.record(addresses=(f"hf://owner/model@{COMMIT}/folder/w.pth",))
    return record, tmp_path / f"hub/models--owner--model/snapshots/{COMMIT}/folder/w.pth"


def test_value_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("DICHOSEG_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dichoseg"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/dichoseg"
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_error_no_home(monkeypatch):
    for name in ("DICHOSEG_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    with pytest.raises(FileNotFoundError, match="DICHOSEG_HOME"):
        cache_folder()


def test_value_a_file_is_hashed_once(web, monkeypatch):
    record = web.record("ok")
    assert cached(record) is None
    assert own_path(record) == cache_folder() / "weights" / SHA256 / "w.pth"
    put(own_path(record))
    assert cached(record) == own_path(record)
    monkeypatch.setattr(cache, "mismatch", lambda record, path: "hashed")
    assert cached(record) == own_path(record)
    with pytest.raises(ValueError, match="hashed"):
        cached(record, verify=True)


def test_error_another_file_is_named_and_left(web):
    record = web.record("ok")
    path = put(own_path(record), b"mine")
    with pytest.raises(ValueError, match=f"{path} is not test-weights: expected sha256 {SHA256}, got .* of 4 bytes"):
        cached(record)
    assert path.read_bytes() == b"mine"
    assert not is_cached(record), "by its size"


def test_value_hub_cache(hub, caplog):
    record, path = hub
    assert cached(record) is None
    put(path)
    assert is_cached(record)
    assert cached(record) == path
    path.write_bytes(bytes(len(PAYLOAD)))
    assert cached(record) == path, "by its size"
    assert cached(record, verify=True) is None
    with caplog.at_level(logging.WARNING):
        assert cached(record) is None
    assert f"{path} is not test-weights: expected" in caplog.text


def test_value_remove(hub, tmp_path):
    record, link = hub
    blob = put(tmp_path / "hub/models--owner--model/blobs/1")
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    own = put(own_path(record))
    cached(record)
    assert remove(record) == [own, link]
    assert remove(record) == []
    assert [path for path in Path(tmp_path).rglob("*") if path.is_file()] == []


def test_value_md5(web):
    record = web.record("ok", sha256=None, md5=hashlib.md5(PAYLOAD).hexdigest())
    path = put(own_path(record))
    assert cached(record) == path
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"expected md5 {record.md5}, got .* of 0 bytes"):
        cached(record)
