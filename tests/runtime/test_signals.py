import os
import signal
import threading

import pytest

from dichoseg.runtime import signals
from dichoseg.runtime.signals import stoppable


@pytest.fixture
def interruptible():
    """Ctrl-C raises, also where the tests run in the background, with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_value_signals_are_put_back(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    with stoppable(True) as asked:
        assert not asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked()
        os.kill(os.getpid(), signal.SIGTERM)  # an echo, which is no second wish
        monkeypatch.setattr(signals, "ECHO", -1)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_value_an_inner_wish_is_an_outer_one_too():
    with stoppable(True) as outer:
        with stoppable(True) as inner:
            os.kill(os.getpid(), signal.SIGTERM)
            assert inner()
        assert outer()


def test_value_off_the_main_thread_no_signal_is_taken():
    caught = []

    def use():
        with stoppable(True) as asked:
            caught.append(asked())

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert caught == [False]


def test_value_without_a_folder_no_signal_is_taken():
    before = signal.getsignal(signal.SIGINT)
    with stoppable(False):
        assert signal.getsignal(signal.SIGINT) is before


def test_value_handlers_of_other_languages_are_left_alone(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGTERM else before)
    with stoppable(True) as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked()
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is before
