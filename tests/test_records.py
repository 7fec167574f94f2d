import dataclasses
import subprocess
import sys

import pytest

from dichoseg.records import Metric, Published


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
