import contextlib
import threading

import pytest

from dichoseg.inference.overlap import overlapped

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
