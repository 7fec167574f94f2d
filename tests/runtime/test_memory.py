import ctypes
import mmap
import subprocess
import sys
import types

import pytest

from dichoseg.runtime.memory import memory_in_use, most_memory_used

CODE = """
import resource, torch
from concurrent.futures import ThreadPoolExecutor
from dichoseg.runtime.memory import keep_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(20_000_000)  # more than the heap of another thread holds
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
fresh = faults()
taken = keep_memory()
faults()
kept = faults()
with ThreadPoolExecutor(1) as pool:  # as the service does
    pool.submit(faults).result()
    print(fresh, taken, kept, pool.submit(faults).result())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_value_large_tensors_fetch_no_fresh_memory():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    fresh, taken, kept, kept_in_thread = done.stdout.split()
    if taken == "False":
        pytest.skip("no glibc")
    assert int(kept) < int(fresh) / 10
    assert int(kept_in_thread) < int(fresh) / 10


@pytest.mark.parametrize("refused", [-1, -2, -3, -8])
def test_value_one_option_refused_leaves_the_others_taken(monkeypatch, refused):
    from dichoseg.runtime.memory import keep_memory

    options = []

    def mallopt(option, value):
        options.append(option)
        return int(option != refused)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: types.SimpleNamespace(mallopt=mallopt))
    assert keep_memory() is False
    assert sorted(options) == [-8, -3, -2, -1]


def test_value_other_systems_are_left_alone(monkeypatch):
    from dichoseg.runtime.memory import keep_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_memory() is False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_value_memory_in_use_follows_new_pages():
    before = memory_in_use()
    pages = mmap.mmap(-1, 200_000_000)  # a tensor may get memory that the process has kept
    for _ in range(200):
        pages.write(bytes(1_000_000))
    during = memory_in_use()
    assert during - before == pytest.approx(0.2, abs=0.03)
    assert during <= most_memory_used("cpu") + 0.01
    pages.close()


@pytest.mark.parametrize(
    ("groups", "files", "wanted"),
    [
        ("0::/jobs/a\n", {"jobs/a/memory.max": "max\n", "jobs/memory.max": "3000\n", "memory.max": "9000\n"}, 3e-6),
        (
            "5:cpu,memory:/a\n3:cpuset:/\n",
            {"memory/memory.limit_in_bytes": "2000\n", "cpuset/memory.limit_in_bytes": "1\n", "memory.max": "1\n"},
            2e-6,
        ),
    ],
)
def test_value_memory_limit_of_a_container(tmp_path, groups, files, wanted):
    from dichoseg.runtime.memory import memory_limit

    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()} | {"proc/self/cgroup": groups}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_limit(tmp_path) == pytest.approx(wanted)


def test_value_memory_limit_without_control_groups(tmp_path):
    import os

    from dichoseg.runtime.memory import memory_limit

    assert memory_limit(tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_value_the_most_memory_is_of_this_process_alone():
    ballast = b"x" * 2**30
    code = "from dichoseg.runtime.memory import most_memory_used; print(most_memory_used('cpu'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.05 < float(done.stdout) < len(ballast) / 1e9
