import contextlib
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from dichoseg.runtime.overlap import overlapped

WAIT = 20


def collect(items, read, compute, write, *, threads):
    with contextlib.closing(overlapped(items, read, compute, write, threads=threads)) as steps:
        return list(steps)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_value_each_item_in_order(threads, count):
    written, computing = {}, []

    def compute(content):
        computing.append((content, threading.get_ident()))
        return content + 1

    steps = collect(range(count), lambda item: item * 10, compute, written.__setitem__, threads=threads)
    assert steps == [(item, None) for item in range(count)]
    assert written == {item: item * 10 + 1 for item in range(count)}
    assert computing == [(item * 10, threading.get_ident()) for item in range(count)]


def test_value_reading_and_writing_go_on_while_it_computes():
    read, wrote = [threading.Event() for _ in range(4)], [threading.Event() for _ in range(4)]

    def compute(item):
        if item < 3:
            assert read[item + 1].wait(WAIT), "the next is read during this"
        if item > 0:
            assert wrote[item - 1].wait(WAIT), "the last is written during this"
        return item

    def mark(events, item):
        events[item].set()
        return item

    steps = collect(range(4), lambda item: mark(read, item), compute, lambda item, _: mark(wrote, item), threads=2)
    assert steps == [(item, None) for item in range(4)]


def test_value_few_are_held_at_a_time():
    lock, held, most = threading.Lock(), 0, 0
    slow = threading.Event()

    def count(change):
        nonlocal held, most
        with lock:
            held += change
            most = max(most, held)

    def write(item, result):
        slow.wait(0.01)
        count(-1)

    steps = overlapped(range(40), lambda item: count(1), lambda content: None, write, threads=2)
    assert len(list(steps)) == 40
    assert held == 0
    assert most <= 2 + 1 + 2 + 1  # read ahead, computed, waiting to be written; and the one that is given out


def test_value_no_more_results_wait_to_be_written_than_there_are_threads():
    early, release = [], threading.Event()
    timer = threading.Timer(0.3, release.set)

    def compute(item):
        if not release.is_set():
            early.append(item)

    timer.start()
    steps = collect(range(30), lambda item: item, compute, lambda item, result: release.wait(WAIT), threads=4)
    assert len(steps) == 30
    assert len(early) <= 4 + 1  # and the one that was just computed


def test_value_a_photograph_is_let_go_once_it_is_computed():
    class Content:
        pass

    references = []

    def read(item):
        content = Content()
        references.append(weakref.ref(content))
        return content

    computed = 0

    def compute(content):
        nonlocal computed
        computed += 1

    def all_gone():
        for _ in range(200):  # the thread that read it lets go a moment after it has given it
            if sum(reference() is not None for reference in references) <= len(references) - computed:
                return True
            time.sleep(0.01)
        return False

    steps = overlapped(range(4), read, compute, lambda item, result: None, threads=1)
    with contextlib.closing(steps):
        assert [all_gone() for _ in steps] == [True] * 4


def test_value_who_is_interrupted_has_no_more_read(monkeypatch):
    read, leaving = [], threading.Event()
    shutdown = ThreadPoolExecutor.shutdown

    def leave(pool, *arguments, **options):
        leaving.set()
        return shutdown(pool, *arguments, **options)

    def compute(item):
        if item == 1:
            raise KeyboardInterrupt  # while the only thread still writes the first

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", leave)
    with pytest.raises(KeyboardInterrupt):
        collect(range(9), lambda item: read.append(item) or item, compute, lambda *_: leaving.wait(WAIT), threads=1)
    assert read == [0, 1]


def test_error_is_told_also_to_who_leaves_early():
    told = []

    def step(*failing):
        def run(item, *_):
            if item in failing:
                raise (KeyboardInterrupt if item == "leaves" else ValueError)(item)
            return item

        return run

    items = ["fine", "reading", "computing", "writing", "leaves"]
    steps = overlapped(
        items, step("reading"), step("computing", "leaves"), step("writing"),
        threads=9, failed=lambda item, error: told.append((item, str(error))),
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert sorted(told) == [(item, item) for item in ("computing", "reading", "writing")]


def test_error_in_each_step_belongs_to_its_item():
    def step(name):
        def run(item, *_):
            if item == name:
                raise ValueError(name)
            return item

        return run

    steps = collect("abrcwd", step("r"), step("c"), step("w"), threads=2)
    assert [(item, error and str(error)) for item, error in steps] == [
        ("a", None), ("b", None), ("r", "r"), ("c", "c"), ("w", "w"), ("d", None),
    ]  # fmt: skip


def test_value_who_is_interrupted_keeps_what_was_computed():
    read, written = [], []
    interrupted = threading.Event()

    def compute(item):
        if item == 3:
            interrupted.set()
            raise KeyboardInterrupt
        return item

    def write(item, result):
        assert interrupted.wait(WAIT)
        written.append(item)

    with pytest.raises(KeyboardInterrupt):
        collect(range(100), lambda item: read.append(item) or item, compute, write, threads=4)
    assert sorted(written) == [0, 1, 2]
    assert len(read) <= 3 + 1 + 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dichoseg")]
