import os
import signal
import subprocess
import sys

import pytest

from dichoseg.runtime.locks import alone, one_at_a_time

HOLD = """
import os, sys, time
from pathlib import Path
from dichoseg.runtime.locks import alone
with alone(Path(sys.argv[1])):
    if len(sys.argv) > 2 and os.fork() == 0:
        time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder, *more):
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder, *more], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_error_says_who_holds_the_folder(tmp_path):
    process = hold(tmp_path)
    try:
        with (
            pytest.raises(FileExistsError, match=f"{tmp_path} is in use by process {process.pid} on "),
            alone(tmp_path),
        ):
            raise AssertionError
    finally:
        process.kill()
        process.communicate()
    with alone(tmp_path):  # although the killed process left its file
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not any(tmp_path.iterdir())


def test_value_a_child_does_not_hold_it_after_its_parent(tmp_path):
    process = hold(tmp_path, "with a child")
    child = int(subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True).split()[0])
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    try:
        with alone(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


def test_value_one_process_enters_again(tmp_path):
    with alone(tmp_path):
        with alone(tmp_path):
            pass
        process = subprocess.run([sys.executable, "-c", HOLD, tmp_path], capture_output=True, text=True, check=False)
        assert "is in use by process" in process.stderr


def test_value_a_file_system_without_locks_is_logged(tmp_path, monkeypatch, caplog):
    import fcntl

    def refuse(*_):
        raise OSError(38, "not implemented")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with alone(tmp_path):
        assert "no lock for" in caplog.text


def test_value_a_second_process_waits_until_the_first_is_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("dichoseg.runtime.locks.LONGEST_WAIT", 0.2)
    with one_at_a_time(tmp_path / "a.onnx", work="exports") as is_locked:
        assert is_locked
        with (
            pytest.raises(TimeoutError, match=r"another process has held .*a\.onnx\.lock for 0 s"),
            one_at_a_time(tmp_path / "a.onnx", work="exports"),
        ):
            raise AssertionError
    assert capsys.readouterr().err == "another process exports a.onnx; waiting for it\n"
    with one_at_a_time(tmp_path / "a.onnx", work="exports") as is_locked:
        assert is_locked


def test_value_without_locks_each_process_works(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("filelock.FileLock.acquire", lambda *args, **kwargs: (_ for _ in ()).throw(NotImplementedError))
    with one_at_a_time(tmp_path / "a.onnx", work="exports") as is_locked:
        assert not is_locked
    assert "no lock for" in caplog.text
