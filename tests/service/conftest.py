"""Servers in processes of their own, and clients."""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import Preprocessing, SyntheticDataset, create_model, save_model

from ..browser import browser as browser
from ..conftest import SMALL

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
TOKEN = "open-sesame"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        content = json.loads(self.body)
        assert list(content) == ["error"]
        return content["error"]

    @property
    def image(self) -> Image.Image:
        assert self.status == 200, self.body
        return Image.open(io.BytesIO(self.body))


class Server(NamedTuple):
    port: int
    log: Path
    process: subprocess.Popen

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request by urllib; give the answer, whatever its status."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def half_a_request(self, total: int, sent: int, *headers: str) -> socket.socket:
        """Connect and send a part of an upload."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        lines = ["POST /predict HTTP/1.1", "Host: localhost", f"Content-Length: {total}", *headers]
        client.sendall("\r\n".join([*lines, "", ""]).encode() + bytes(sent))
        return client

    def wait_for_log(self, text: str) -> None:
        """Wait until the log has a text."""
        for _ in range(600):
            if text in self.log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(f"no {text} in {self.log.read_text()}")


@contextlib.contextmanager
def serving(folder: Path, *options: object) -> Iterator[Server]:
    """Run `dichoseg serve` in a process of its own, on a free port."""
    log = folder / f"log{len(list(folder.glob('log*')))}"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "dichoseg", "serve", "--port", "0", "--threads", "1", *map(str, options)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        line = process.stdout.readline()
        assert line.startswith("serving "), log.read_text()
        yield Server(int(line.rpartition(":")[2]), log, process)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder with two tiny networks, which differ."""
    folder = tmp_path_factory.mktemp("service")
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        save_model(create_model("isnet", encoder_args=SMALL, preprocessing=Preprocessing(size=64)), folder / name)
    return folder


@pytest.fixture(scope="session")
def server(models) -> Iterator[Server]:
    """A server whose memory is for one model only."""
    limits = ("--memory", 0, "--max-bytes", 300_000, "--max-pixels", 1_000_000)
    with serving(models, "--models", models / "first", models / "second", "--precision", "float32", *limits) as it:
        yield it


@pytest.fixture(scope="session")
def strict_server(models) -> Iterator[Server]:
    """A server with a token, little time, and a place for one request."""
    (models / "token").write_text(f"{TOKEN}\n")
    options = ("--token-file", models / "token", "--timeout", 1, "--queue", 1)
    with serving(models, "--models", models / "first", *options) as it:
        yield it


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """A photograph of 65 by 97."""
    image = SyntheticDataset(1, size=128)[0].image[:, :65, :97]
    return (image.permute(1, 2, 0) * 255).byte().numpy()


@pytest.fixture(scope="session")
def photograph(pixels) -> bytes:
    """The photograph as a PNG file."""
    return encoded(Image.fromarray(pixels))


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def form(content: bytes, name: str = "image", *, more: bytes = b"") -> bytes:
    """A form with one file."""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode()
    return head + content + b"\r\n" + more + b"--b--\r\n"
