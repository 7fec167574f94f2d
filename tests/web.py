"""Fixtures: a web server on this machine, an empty cache, and published weights in it. Imported by `conftest.py`."""

import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dichoseg import create_model
from dichoseg.records import Weights
from dichoseg.weights import catalogue
from dichoseg.weights.cache import own_path

from .web_server import PAYLOAD, SHA256


@dataclasses.dataclass
class Web:
    """The server, seen by one test."""

    address: str
    tag: str

    def record(self, *behaviors, **changes):
        """A record of the server's file, at one address for each behavior."""
        addresses = tuple(f"{self.address}/{behavior}/{self.tag}/w.pth" for behavior in behaviors)
        values = {"name": "test-weights", "network": "u2netp", "file": "w.pth", "sha256": SHA256, "bytes": len(PAYLOAD)}
        return Weights(**{**values, "addresses": addresses, **changes})

    def requests(self):
        """Requests of this test: method and range."""
        return [(method, asked) for method, path, asked in json.loads(self.ask("log")) if self.tag in path]

    def ask(self, path):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.address}/{path}") as response:
            return response.read()


@contextlib.contextmanager
def plain_server(folder: Path) -> Iterator[str]:
    """Serve a folder by Python's own web server, which knows no ranges; give its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().split(' port ')[1].split()[0]}"
        process.terminate()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Address of the server."""
    command = [sys.executable, str(Path(__file__).with_name("web_server.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


@pytest.fixture
def web(server, request, tmp_path, monkeypatch) -> Web:
    """The server, and an environment without proxies and with an empty cache in `tmp_path`."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("DICHOSEG_MIRROR", "DICHOSEG_OFFLINE", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("dichoseg.weights.download.WAITS", (0.0, 0.01))
    return Web(server, f"{os.getpid()}-{abs(hash(request.node.nodeid))}")


@pytest.fixture
def tiny_weights(web, tmp_path, monkeypatch) -> Weights:
    """Published weights `tiny` of U²-NetP, in the cache, with a license and a preprocessing of their own."""
    torch.save(create_model("u2netp").state_dict(), tmp_path / "authors.pth")
    content = (tmp_path / "authors.pth").read_bytes()
    changes = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "preprocessing": {"scale": "unit"}}
    record = web.record("missing", name="tiny", license="mit", license_source="its author", **changes)
    own_path(record).parent.mkdir(parents=True)
    own_path(record).write_bytes(content)
    monkeypatch.setitem(catalogue._BY_NAME, "tiny", record)
    monkeypatch.chdir(tmp_path)
    return record
