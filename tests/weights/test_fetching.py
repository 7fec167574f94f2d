import logging
import os
import signal
import subprocess
import sys
import time

import filelock
import pytest

from dichoseg.weights import fetch
from dichoseg.weights.cache import own_path, part_of

from ..web_server import PAYLOAD, SHA256
from .test_cache import COMMIT, put

FETCH = """
import sys, resource
from dichoseg.records import Weights
from dichoseg.weights.fetching import fetch
name, *addresses = sys.argv[1:]
if name == "disk":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    print(fetch(Weights(name=name, network="u2netp", file="w.pth", sha256=%r, addresses=tuple(addresses))))
except (OSError, ValueError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def start(name, *addresses, **environment):
    """Fetch in a process of its own."""
    command = [sys.executable, "-c", FETCH % SHA256, name, *addresses]
    environment = {**os.environ, **environment}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=20)
    return out.strip(), err


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_value_fetched_once(web, capfd):
    record = web.record("ok")
    path = fetch(record)
    assert path == own_path(record)
    assert path.read_bytes() == PAYLOAD
    out, err = capfd.readouterr()
    assert out == ""
    start, end = err.splitlines()
    address = record.addresses[0]
    expected = f"downloading test-weights (0 MB) from {address}; license: not stated, commercial use: unstated"
    assert start == expected
    assert end == f"test-weights is in {path}"
    assert fetch(record) == path
    assert capfd.readouterr().err == ""
    assert web.requests() == [("GET", None)]


def test_value_a_cached_file_needs_no_lock_no_write_and_no_request(web, monkeypatch, tmp_path):
    record = web.record("ok")
    path = fetch(record, quiet=True)
    for folder in (path.parent, path.parents[1]):
        folder.chmod(0o555)
    before = [(one, one.stat().st_mtime_ns) for one in tmp_path.rglob("*")]
    monkeypatch.setattr(filelock.FileLock, "acquire", None)
    assert fetch(record) == path
    assert [(one, one.stat().st_mtime_ns) for one in tmp_path.rglob("*")] == before
    assert len(web.requests()) == 1


def test_value_quiet_and_bar(web, capfd, monkeypatch):
    fetch(web.record("ok"), quiet=True)
    assert capfd.readouterr() == ("", "")
    own_path(web.record("ok")).unlink()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(web.record("ok"))
    out, err = capfd.readouterr()
    assert (out, "100%|" in err) == ("", True)
    own_path(web.record("ok")).unlink()
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    fetch(web.record("ok"))
    assert "100%|" not in capfd.readouterr().err


def test_value_a_wrong_part_is_dropped_and_one_clean_retry_follows(web):
    record = web.record("ok")
    put(part_of(own_path(record)), bytes(1234))
    assert fetch(record, quiet=True).read_bytes() == PAYLOAD
    assert web.requests() == [("GET", "bytes=1234-"), ("GET", None)]


def test_value_the_next_address_is_tried(web):
    record = web.record("wrong", "missing", "html", "ok")
    assert fetch(record, quiet=True).read_bytes() == PAYLOAD
    assert len(web.requests()) == 5, "a wrong file is asked for twice"
    assert files(own_path(record).parent) == ["w.pth", "w.pth.checked", "w.pth.lock"]


def test_error_lists_address_by_address(web):
    record = web.record("wrong", "missing", "short")
    with pytest.raises(ConnectionError) as caught:
        fetch(record, quiet=True)
    first, *failures, last = str(caught.value).splitlines()
    assert first == "test-weights cannot be downloaded:"
    reasons = [f"expected sha256 {SHA256}, got ", "HTTP 404 Not Found", "offers 1000 bytes in place of 300000"]
    for failure, address, reason in zip(failures, record.addresses, reasons, strict=True):
        assert failure.startswith(f"  {address}: {reason}")
    assert str(own_path(record).parent) in last
    assert "DICHOSEG_MIRROR" in last
    assert files(own_path(record).parent) == ["w.pth.lock"]


@pytest.mark.parametrize("variable", ["DICHOSEG_OFFLINE", "HF_HUB_OFFLINE"])
def test_error_offline(web, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    record = web.record("ok")
    folder = own_path(record).parent
    with pytest.raises(FileNotFoundError) as caught:
        fetch(record)
    for part in ("downloads are off", "dichoseg download test-weights --to .", f"sha256 {SHA256}", str(folder)):
        assert part in str(caught.value)
    assert web.requests() == []
    put(folder / "w.pth")
    assert fetch(record) == folder / "w.pth"


def test_error_no_address(web):
    with pytest.raises(FileNotFoundError, match="no address has it; .*DICHOSEG_MIRROR"):
        fetch(web.record())


def test_value_mirror(web, monkeypatch):
    """The server of the mirror gets each request, at CHECKSUM/FILE, and no address is asked."""
    monkeypatch.setenv("DICHOSEG_MIRROR", f"{web.address}/ok/{web.tag}/")
    record = web.record("missing", addresses=(f"hf://owner/model@{COMMIT}/w.pth",))
    assert fetch(record, quiet=True).read_bytes() == PAYLOAD
    assert web.requests() == [("GET", None)]


def test_error_mirror_without_the_file(web, monkeypatch):
    monkeypatch.setenv("DICHOSEG_MIRROR", f"{web.address}/missing/{web.tag}")
    with pytest.raises(ConnectionError, match=f"/missing/{web.tag}/{SHA256}/w.pth: HTTP 404"):
        fetch(web.record("ok"), quiet=True)
    monkeypatch.setenv("DICHOSEG_MIRROR", "host/path")
    with pytest.raises(ValueError, match="DICHOSEG_MIRROR .*'host/path'"):
        fetch(web.record("ok"), quiet=True)


def test_error_another_file_is_in_its_place(web):
    record = web.record("ok")
    path = put(own_path(record), b"mine")
    with pytest.raises(ValueError, match="it is left as it is"):
        fetch(record)
    assert (path.read_bytes(), web.requests()) == (b"mine", [])


def test_error_cache_that_cannot_be_written(web, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path / "file/home"))
    with pytest.raises(PermissionError, match=f"{tmp_path}/file/home.*DICHOSEG_HOME"):
        fetch(web.record("ok"), quiet=True)
    assert web.requests() == []


def test_value_license_is_accepted_once(web):
    record = web.record("ok", commercial="no", license="other")
    with pytest.raises(ValueError, match="accept_license=True.*license: other, commercial use: no"):
        fetch(record)
    path = fetch(record, accept_license=True, quiet=True)
    path.unlink()
    assert fetch(record, quiet=True) == path


def test_value_a_file_system_without_locks_is_a_warning(web, monkeypatch, caplog):
    def refuse(*arguments, **options):
        raise OSError("no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with caplog.at_level(logging.WARNING):
        path = fetch(web.record("ok"), quiet=True)
    assert path.read_bytes() == PAYLOAD
    assert "no locks here" in caplog.text


def test_value_two_processes_download_once(web):
    record = web.record("gate")
    first = start("two", *record.addresses)
    while not part_of(own_path(record)).exists():
        time.sleep(0.01)
    second = start("two", *record.addresses)
    assert second.stderr.readline().startswith("downloading two from ")
    assert second.stderr.readline() == "another process downloads w.pth; waiting for it\n"
    web.ask("open")
    assert finish(first)[0] == finish(second)[0] == str(own_path(record))
    assert web.requests() == [("GET", None)]


def test_value_an_interruption_is_continued(web):
    record = web.record("stall,stall,ok")
    part = part_of(own_path(record))
    for sent, size in ((signal.SIGINT, 50_000), (signal.SIGKILL, 100_000)):
        process = start("interrupted", *record.addresses)
        while not part.exists() or part.stat().st_size < size:
            time.sleep(0.01)
        process.send_signal(sent)
        _, err = finish(process)
        assert ("stopped; the part that has come is kept" in err) == (sent == signal.SIGINT)
        assert not own_path(record).exists()
        assert PAYLOAD.startswith(part.read_bytes())
    assert fetch(record, quiet=True).read_bytes() == PAYLOAD
    assert web.requests() == [("GET", None), ("GET", "bytes=50000-"), ("GET", "bytes=100000-")]


def test_error_full_disk(web):
    record = web.record("ok")
    _, err = finish(start("disk", *record.addresses))
    assert f"OSError: disk cannot be written to {own_path(record).parent}: File too large" in err
    assert files(own_path(record).parent) == ["w.pth.lock"]


def hub_fetch(web, tmp_path, behavior, *others):
    address = f"hf://{web.tag}/model@{COMMIT}/folder/w.pth"
    environment = {"HF_ENDPOINT": f"{web.address}/{behavior}", "HF_HOME": str(tmp_path / "hf")}
    return finish(start("hub", address, *others, **environment))


def test_value_hub(web, tmp_path):
    out, err = hub_fetch(web, tmp_path, "ok")
    path = tmp_path / f"hf/hub/models--{web.tag}--model/snapshots/{COMMIT}/folder/w.pth"
    assert out == str(path)
    assert path.read_bytes() == PAYLOAD
    assert err.splitlines()[0].startswith(f"downloading hub from hf://{web.tag}/model@{COMMIT}/folder/w.pth; license")
    assert len(web.requests()) == 2, "HEAD and GET"
    assert hub_fetch(web, tmp_path, "ok") == (str(path), "")
    assert len(web.requests()) == 2
    path.resolve().write_bytes(bytes(10))
    assert hub_fetch(web, tmp_path, "ok")[0] == str(path)


def test_error_hub(web, tmp_path):
    _, err = hub_fetch(web, tmp_path, "wrong")
    assert f"hf://{web.tag}/model@{COMMIT}/folder/w.pth: expected sha256 {SHA256}, got " in err
    assert list((tmp_path / "hf/hub").rglob("blobs/*")) == []
    assert "404" in hub_fetch(web, tmp_path, "missing")[1]
    page = f"https://huggingface.co/{web.tag}/model"
    assert f"accept its terms at {page} and log in" in hub_fetch(web, tmp_path, "gated")[1]


def test_value_hub_fails_and_the_web_has_it(web, tmp_path):
    out, _ = hub_fetch(web, tmp_path, "missing", *web.record("ok").addresses)
    assert out == str(own_path(web.record("ok")))
