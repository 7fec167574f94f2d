import io
import logging
import sys
from types import SimpleNamespace

import pytest

from dichoseg.runtime import progress
from dichoseg.runtime.progress import announce, tracked


def test_value_items_are_passed_on_in_silence(capsys):
    assert list(tracked("abc", "work", 3, shown=False)) == ["a", "b", "c"]
    assert list(tracked("abc", "work", 3, shown=True)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def hours(monkeypatch):
    """A clock on which each item takes so many seconds."""

    def set_clock(seconds):
        ticks = iter(range(10**6))
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks) * seconds)

    return set_clock


def test_value_a_log_has_few_lines(hours, capsys):
    hours(1)
    list(tracked(range(100), "work", 110, shown=True, start=10, unit="images", status=lambda: "loss 1"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "work: 40/110 images, 2 min left, loss 1"
    assert [line.split()[1] for line in lines] == ["40/110", "70/110", "100/110"]
    hours(10)
    list(tracked(range(10_000), "work", 10_000, shown=True))  # more than a day
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "work: 3/10000 steps, 1667 min left"
    assert 150 < len(told) < 250


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_value_a_bar_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(tracked("abc", "work", 3, shown=True, unit="images")) == ["a", "b", "c"]
    assert "work:   0%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")  # it has vanished


def test_value_a_bar_in_a_notebook(monkeypatch, capsys):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert progress._is_interactive()
    shell.config = {"TerminalIPythonApp": {}}
    assert not progress._is_interactive()


def test_value_a_line_is_written_once(capsys, caplog):
    logger = logging.getLogger("dichoseg.test")
    announce(logger, "epoch 1", shown=True)
    assert capsys.readouterr().err == "epoch 1\n"
    announce(logger, "epoch 1", shown=False)
    with caplog.at_level(logging.INFO):
        announce(logger, "epoch 2", shown=True)
    assert capsys.readouterr().err == ""
    assert caplog.messages == ["epoch 2"]


def test_value_no_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    announce(logging.getLogger("dichoseg.test"), "epoch 1", shown=True)
    assert list(tracked("abc", "work", 3, shown=True)) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""
