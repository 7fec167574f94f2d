import dataclasses
import subprocess
import sys

import pytest

from dichoseg.records import Metric, Published, Weights


def test_value_records_need_no_torch():
    code = "import sys, dichoseg.records, dichoseg.registry; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_value_defaults():
    assert Metric("area", len)[2:] == (True, "")
    record = Published(names={"theirs": "ours"})
    assert (record.convert, record.unused, record.in_order) == (None, (), False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.names = {}


SUM = "0123456789abcdef" * 4
HUB = f"hf://owner/model@{SUM[:40]}/folder/w.pth"


def test_value_weights():
    record = Weights(name="a/u-2", network="u2net", file="w.pth", addresses=(HUB, "https://h.org/w.pth"), sha256=SUM)
    assert record.checksum == ("sha256", SUM)
    assert record.terms == "license: not stated, commercial use: unstated"
    assert Weights(name="a", network="u2net", file="w.pth", md5=SUM[:32]).checksum == ("md5", SUM[:32])
    sized = dataclasses.replace(record, bytes=4_574_861, license="mit", license_source="its author", commercial="yes")
    assert sized.terms == "license: mit (its author), commercial use: yes"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "U2"}, "name .*'U2'"),
        ({"file": "a/w.pth"}, "file .*'a/w.pth'"),
        ({"addresses": ("hf://owner/model@main/w.pth",)}, "addresses .*@main/w.pth"),
        ({"addresses": ("ftp://h.org/w.pth",)}, "addresses .*'ftp:"),
        ({"sha256": None}, "sha256 or md5"),
        ({"sha256": SUM[:32]}, f"64 .*'{SUM[:32]}'"),
        ({"md5": "x"}, "32 .*'x'"),
        ({"bytes": 0}, "bytes .*0"),
        ({"commercial": "maybe"}, "commercial .*'maybe'"),
    ],
)
def test_error_weights(changes, message):
    with pytest.raises(ValueError, match=message):
        Weights(**{"name": "a", "network": "u2net", "file": "w.pth", "sha256": SUM, **changes})


def test_error_variants():
    assert (
        Published(names={"a": "b"}, variants={"depth=2": {}}).fault()
        == "has names that are not a dict of modules, str to str"
    )
    assert Published(names={"a": "b"}, variants={"depth=2": {"a": "c"}}).fault() is None
