import ctypes
import subprocess
import sys
import types

import pytest

CODE = """
import os, resource, sys, torch
from dichoseg.runtime.memory import keep_memory
if "keep" in sys.argv:
    print(keep_memory())
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(16_000_000)
before = faults()
for _ in range(10):
    torch.ones(16_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_value_large_tensors_fetch_no_fresh_memory():
    def lines(*arguments):
        done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.split()

    taken, faults = lines("keep")
    if taken == "False":
        pytest.skip("no glibc")
    assert int(faults) < int(lines()[0]) / 10


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
