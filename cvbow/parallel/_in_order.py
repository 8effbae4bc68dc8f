"""Work by threads that take their items themselves, and results in the items' order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Whoever waits looks up now and then: on Windows, Ctrl-C ends no wait.
_PAUSE = 0.5


class _Result(Generic[R]):
    """What comes of one item: one of ``values``, or an ``error``."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.values: list[R] = []
        self.error = error

    @property
    def is_there(self) -> bool:
        return bool(self.values) or self.error is not None

    def take(self) -> R:
        if self.error is not None:
            raise self.error
        return self.values.pop()


def in_order(function: Callable[[T], R], items: Iterable[T], n_threads: int, most: int) -> Generator[R, None, None]:
    """Yield ``function(item)`` for each item, in the items' order, made by threads.

    A thread takes an item when it is free, so that a busy caller keeps none waiting, until ``most`` items are taken
    whose results are not. After an error no further one is taken; it is raised when it is its item's turn. Closing the
    generator waits for nobody. The threads are daemons: the interpreter's end does not wait for them.
    """
    left, taking, changed = iter(items), threading.Lock(), threading.Condition()
    waiting: deque[_Result[R]] = deque()
    is_over = False

    def end() -> None:
        nonlocal is_over
        with changed:
            is_over = True
            changed.notify_all()

    def take() -> tuple[_Result[R], T] | None:
        # One thread at a time: few iterators bear two.
        with taking:
            with changed:
                changed.wait_for(lambda: is_over or len(waiting) < most)
                if is_over:
                    return None
            result = _Result[R]()
            try:
                item = next(left)
            except StopIteration:
                end()
                return None
            except BaseException as error:
                waiting.append(_Result(error))
                end()
                return None
            waiting.append(result)
            return result, item

    def work() -> None:
        while True:
            taken = take()
            if taken is None:
                return
            result, item = taken
            try:
                result.values.append(function(item))
            except BaseException as error:
                result.error = error
                end()
            else:
                with changed:
                    changed.notify_all()
            # Nothing is held while the thread waits for the next one.
            del taken, result, item

    for number in range(n_threads):
        threading.Thread(target=work, name=f"cvbow-{number}", daemon=True).start()
    try:
        while True:
            with changed:
                while not (waiting[0].is_there if waiting else is_over):
                    changed.wait(_PAUSE)
                if not waiting:
                    return
                result = waiting.popleft()
                changed.notify_all()
            yield result.take()
    finally:
        end()
