import struct
import time
import zlib

import pytest
from fastapi import HTTPException
from PIL import Image

from dichoseg.service.upload import read_photograph

from .conftest import FORM, encoded, form


def bomb(side: int) -> bytes:
    """A PNG file of a few bytes that says that it has side * side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [1001, 10_000, 60_000])
def test_error_bomb(server, side):
    answer = server.ask("/predict", bomb(side))
    assert answer.status == 413
    assert "1000000" in answer.error


def test_error_bomb_in_an_icon(server):
    content = bomb(2000)
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(content), 22)
    answer = server.ask("/predict", head + content)
    assert answer.status == 413
    assert "1000000" in answer.error


def test_error_large_page_behind_a_small_one():
    pages = [Image.new("L", (9, 9)), Image.new("L", (200, 100))]
    content = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(HTTPException) as caught:
        read_photograph(content, 10_000)
    assert caught.value.status_code == 413
    assert read_photograph(content, 20_000).pixels.shape == (100, 200, 3)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "no image"),
        (b"no picture", 415, "the image of 10 bytes is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "not an image"),
    ],
)
def test_error_not_an_image(server, body, status, text):
    for answer in (server.ask("/predict", body), server.ask("/predict", form(body), **FORM)):
        assert answer.status == status
        assert text in answer.error


def test_error_broken_image(server, photograph):
    answer = server.ask("/predict", photograph[: len(photograph) // 2])
    assert answer.status == 400
    assert "truncated" in answer.error


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (form(b"x", "photo"), "got 'photo'"),
        (
            form(b"x", more=b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\ncutout\r\n'),
            "got 'image', 'kind'",
        ),
        (b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--b--\r\n', "must be a file"),
        (b"--c\r\n", "the form cannot be read"),
        (b"--b--\r\n", "no image"),
    ],
)
def test_error_form(server, body, text):
    answer = server.ask("/predict", body, **FORM)
    assert answer.status == 400
    assert text in answer.error


def test_error_too_many_bytes(server):
    answer = server.ask("/predict", bytes(3_000_000))
    assert answer.status == 413
    assert "more than 300000 bytes" in answer.error
    with server.half_a_request(10, 0, "Transfer-Encoding: chunked") as client:  # of unknown length
        for _ in range(40):
            client.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 4")


def test_error_slow_client(strict_server):
    with strict_server.half_a_request(1000, 1, "Authorization: Bearer open-sesame") as client:
        for _ in range(3):
            client.sendall(b"x")
            time.sleep(0.2)
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert strict_server.ask("/health").status == 200
