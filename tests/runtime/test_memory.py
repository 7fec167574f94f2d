import ctypes
import subprocess
import sys
import types

import pytest

CODE = """
import resource, torch
from dichoseg.runtime.memory import keep_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
fresh = faults()
taken = keep_memory()
faults()
print(fresh, taken, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_value_large_tensors_fetch_no_fresh_memory():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    fresh, taken, kept = done.stdout.split()
    if taken == "False":
        pytest.skip("no glibc")
    assert int(kept) < int(fresh) / 10


@pytest.mark.parametrize("refused", [-1, -2, -3])
def test_value_one_option_refused_leaves_the_others_taken(monkeypatch, refused):
    from dichoseg.runtime.memory import keep_memory

    options = []

    def mallopt(option, value):
        options.append(option)
        return int(option != refused)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: types.SimpleNamespace(mallopt=mallopt))
    assert keep_memory() is False
    assert sorted(options) == [-3, -2, -1]


def test_value_other_systems_are_left_alone(monkeypatch):
    from dichoseg.runtime.memory import keep_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_memory() is False
