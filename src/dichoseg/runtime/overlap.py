"""Reading ahead and writing behind while the network computes."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Content = TypeVar("Content")
Result = TypeVar("Result")


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Content],
    compute: Callable[[Content], Result],
    write: Callable[[Item, Result], None],
    *,
    threads: int,
    failed: Callable[[Item, BaseException], None] = lambda item, error: None,
) -> Generator[tuple[Item, BaseException | None]]:
    """Read, compute and write each item; yield it, in order, with the exception that stopped it, if any.

    `read` and `write` share `threads` threads, `compute` runs in the caller's thread. At most `threads` contents are
    read ahead, and as many results wait to be written, so memory does not grow with the number of items.

    After an exception (such as KeyboardInterrupt in `compute`) or `close`, nothing more is started; results computed by
    then are still written.

    `failed` is called for each exception when it happens, in the thread that raised it. This includes exceptions that
    are not yielded because the caller stopped early.
    """
    upcoming = iter(items)
    reading: deque[tuple[Item, Future[Content]]] = deque()
    writing: deque[tuple[Item, Future[None]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="dichoseg") as pool:

        def read_ahead(count: int) -> None:
            reading.extend((item, pool.submit(read, item)) for item in itertools.islice(upcoming, count))

        def computed(item: Item, content: Future[Content]) -> Future[None]:
            done: Future[None] = Future()
            try:
                result = compute(content.result())
            except Exception as error:
                done.set_exception(error)
            else:
                done = pool.submit(write, item, result)
            done.add_done_callback(functools.partial(tell, item))
            return done

        def tell(item: Item, done: Future[None]) -> None:
            error = done.exception()
            if error is not None:
                failed(item, error)

        try:
            read_ahead(threads)
            while reading:
                item, content = reading.popleft()
                read_ahead(1)
                writing.append((item, computed(item, content)))
                del content  # or the photograph would stay in memory until the next one is computed
                if len(writing) > threads:
                    item, done = writing.popleft()
                    yield item, done.exception()
            while writing:
                item, done = writing.popleft()
                yield item, done.exception()
        finally:
            for _, content in reading:
                content.cancel()
