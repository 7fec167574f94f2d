import pytest

from dichoseg.weights import catalogue
from dichoseg.weights.cache import own_path

from ..web_server import PAYLOAD
from .conftest import run_cli


@pytest.fixture
def named(web, monkeypatch):
    """Published weights `test-weights`, on the server."""
    record = web.record("ok", commercial="no", license="other")
    monkeypatch.setitem(catalogue._BY_NAME, record.name, record)
    return record


def test_value_download_verify_and_remove(named, web, tmp_path):
    refused = run_cli("download", named.name)
    assert "--accept-license" in str(refused.exception)
    result = run_cli("download", named.name, "--accept-license")
    path = own_path(named)
    assert result.stdout == f"{path}\n"
    assert "license: other, commercial use: no" in result.stderr
    assert run_cli("download", named.name).stderr == ""
    assert run_cli("download", named.name, "--to", tmp_path / "new").stdout == f"{tmp_path}/new/w.pth\n"
    assert (tmp_path / "new/w.pth").read_bytes() == PAYLOAD
    assert run_cli("download", named.name, "--to", tmp_path / "new").exit_code == 0
    path.write_bytes(bytes(len(PAYLOAD)))
    assert run_cli("download", named.name).exit_code == 0, "the size is the same"
    assert f"{path} is not test-weights: expected" in str(run_cli("download", named.name, "--verify").exception)
    assert run_cli("download", named.name, "--remove").stdout == f"removed {path}\n"
    assert run_cli("download", named.name, "--remove").stdout == "test-weights is not on this machine\n"
    assert run_cli("download", named.name, "--verify", "--quiet").stderr == ""
    assert len(web.requests()) == 2


def test_value_print_asks_nothing(named, web):
    assert run_cli("download", named.name, "--print").stdout.splitlines()[0] == named.addresses[0]
    assert web.requests() == []


def test_error_download(named, tmp_path):
    assert "wanted a name" in str(run_cli("download").exception)
    assert "did you mean test-weights" in str(run_cli("download", named.name, "test-weight").exception)
    assert not own_path(named).exists(), "names are compared first"
    assert "two commands" in str(run_cli("download", named.name, "--print", "--remove").exception)
    (tmp_path / "w.pth").write_text("mine")
    arguments = ("download", named.name, "--accept-license", "--to", tmp_path)
    assert f"{tmp_path}/w.pth is another file" in str(run_cli(*arguments).exception)
    assert (tmp_path / "w.pth").read_text() == "mine"
