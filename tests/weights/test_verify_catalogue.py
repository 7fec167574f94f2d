"""The tool that verifies the catalogue, against a web server on this machine."""

import dataclasses
import re

import pytest

from ..verify_catalogue import verify
from ..web import plain_server


@pytest.fixture
def served(tiny_weights, tmp_path):
    """A record of a small network's file, at a plain web server."""
    with plain_server(tmp_path) as address:
        yield dataclasses.replace(tiny_weights, addresses=(f"{address}/authors.pth",))


def test_value_each_address_is_tried(served):
    size, (address,) = served.bytes, served.addresses
    twin = dataclasses.replace(served, name="tiny-pth", addresses=(address, f"{address}.gone"))
    found = list(verify([served, twin]))
    assert [is_right for *_, is_right in found] == [True, True, True, True, False]
    assert found[0][:2] == (
        f"tiny {address}",
        f"states {size} bytes, ETag None; downloaded {size} bytes, verified, loaded",
    )
    assert found[3][0] == "tiny-pth"
    assert found[3][1].endswith(", 0.0000 from tiny")
    assert "404" in found[4][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bytes": 7}, "the address states .* bytes; the record 7"),
        ({"sha256": "0" * 64}, "expected sha256 0000"),
        ({"network": "isnet"}, "it holds u2netp"),
    ],
)
def test_error_a_record_that_is_wrong(served, change, message):
    ((_, result, is_right),) = verify([dataclasses.replace(served, **change)])
    assert not is_right
    assert re.search(message, result)


def test_error_the_hub_states_another_hash(web, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{web.address}/ok")
    address = f"hf://{web.tag}/model@{'0' * 40}/w.pth"
    ((_, result, is_right),) = verify([dataclasses.replace(web.record("ok"), addresses=(address,), sha256="1" * 64)])
    assert not is_right
    assert "the address states sha256" in result
