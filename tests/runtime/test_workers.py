import multiprocessing
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dichoseg.runtime.workers import NO_GUARD, explained_end, explained_start, leave_if_importing

SCRIPT = """
import multiprocessing
multiprocessing.set_start_method("spawn", force=True)
import dichoseg
small = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
model = dichoseg.create_model("isnet", encoder_args=small, size=64)
dichoseg.fit(model, dichoseg.SyntheticDataset(4, size=64), epochs=1, batch_size=2, workers=1)
"""


@pytest.fixture(params=["spawn", "forkserver"])
def method(request, monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: request.param)
    return request.param


def test_error_what_cannot_be_pickled_is_named(method):
    content = SimpleNamespace(data=SimpleNamespace(transform=lambda image: image, size=3))
    told = rf"started by {method} here, cannot get SimpleNamespace.transform \(no\); use"
    with pytest.raises(TypeError, match=told), explained_start(content):
        raise AttributeError("no")
    with pytest.raises(AttributeError, match="another"), explained_start(3):
        raise AttributeError("another")


def test_error_reasons_of_workers_that_end(method):
    cause = RuntimeError("DataLoader worker exited unexpectedly")
    assert "below `if __name__ == '__main__':`" in str(explained_end(cause, [0, NO_GUARD]))
    assert f"started by {method}, could not import" in str(explained_end(cause, [1]))
    assert explained_end(cause, [-9]) is cause
    with pytest.raises(RuntimeError, match="__main__"), explained_start(3):
        raise EOFError


def test_value_this_process_stays():
    leave_if_importing()


def test_error_a_script_without_a_main_guard(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert done.stderr.splitlines()[-1].endswith("below `if __name__ == '__main__':`, or use workers=0")
