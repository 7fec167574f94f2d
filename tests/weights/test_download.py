import errno
import time

import pytest

from dichoseg.weights import download as module
from dichoseg.weights.download import Refused, download

from ..web_server import PAYLOAD

SIZE = len(PAYLOAD)


@pytest.fixture
def get(web, tmp_path):
    """Download from an address with a behavior into `tmp_path / "w.pth.part"`."""

    def run(behavior, *, size=SIZE, timeout=5.0):
        (address,) = web.record(behavior).addresses
        part = tmp_path / "w.pth.part"
        download(address, part, size=size, timeout=timeout, show_bar=False)
        return part.read_bytes()

    return run


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize(
    "behavior", ["ok", "cut,ok", "cut,cut,cut,ok", "busy,broken,ok", "dated,ok", "norange", "cut,norange"]
)
def test_value_bytes_of_the_file(get, behavior, size):
    assert get(behavior, size=size) == PAYLOAD


def test_value_a_partial_file_is_continued(get, web, tmp_path):
    (tmp_path / "w.pth.part").write_bytes(PAYLOAD[:1234])
    assert get("ok") == PAYLOAD
    assert web.requests() == [("GET", "bytes=1234-")]


def test_value_a_complete_part_is_left_to_the_checksum(get, tmp_path):
    (tmp_path / "w.pth.part").write_bytes(PAYLOAD)
    assert get("ok") == PAYLOAD


def test_value_a_stall_is_continued(get, web):
    start = time.monotonic()
    assert get("stall,ok", timeout=0.3) == PAYLOAD
    assert time.monotonic() - start < 2.5
    assert web.requests() == [("GET", None), ("GET", "bytes=50000-")]


def test_value_a_server_that_says_nothing_is_asked_again(get):
    assert get("hang,ok", timeout=0.3) == PAYLOAD


@pytest.mark.parametrize(
    ("behavior", "message"),
    [
        ("missing", "HTTP 404 Not Found"),
        ("broken", "HTTP 503"),
        ("busy", "HTTP 429"),
        ("later", "HTTP 429"),
        ("html", "an HTML page"),
        ("short", "offers 1000 bytes in place of 300000"),
    ],
)
def test_error_tells_what_happened(get, behavior, message):
    with pytest.raises(Refused, match=message):
        get(behavior)


def test_error_a_page_without_its_type(get):
    with pytest.raises(Refused, match="an HTML page"):
        get("page", size=None)


def test_error_no_server(tmp_path, web):
    with pytest.raises(Refused, match="no connection: .*refused"):
        download("http://127.0.0.1:9/w.pth", tmp_path / "part", size=None, timeout=1, show_bar=False)


def test_error_a_wait_that_is_too_long_is_not_waited_for(get, web):
    with pytest.raises(Refused, match="429"):
        get("later")
    assert len(web.requests()) == 1


def test_error_no_room(get, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match="0 MB are needed") as caught:
        get("ok")
    assert caught.value.errno == errno.ENOSPC


def test_value_proxy(web, tmp_path, monkeypatch):
    """The address has a host that does not exist; the proxy answers for it."""
    monkeypatch.setenv("http_proxy", web.address)
    address = f"http://weights.invalid/ok/{web.tag}/w.pth"
    download(address, tmp_path / "part", size=None, timeout=5, show_bar=False)
    assert (tmp_path / "part").read_bytes() == PAYLOAD
    monkeypatch.setenv("no_proxy", "weights.invalid")
    with pytest.raises(Refused, match="no connection"):
        download(address, tmp_path / "other", size=None, timeout=5, show_bar=False)
