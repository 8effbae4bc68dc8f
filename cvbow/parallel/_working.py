"""The work on many items by many workers, in the items' order."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from cvbow.parallel._in_order import in_order
from cvbow.parallel._jobs import effective_jobs, local_threads
from cvbow.parallel._threads import limit_this_process, single_threaded
from cvbow.progress import progress

T = TypeVar("T")
R = TypeVar("R")

#: So many results for each worker may wait for the caller of ``run``.
_AHEAD = 16


#: What is in force where work is given out, and is to be in force where it is done.
_inherited: list[Callable[[], Callable[[], AbstractContextManager[Any]]]] = []

Here = TypeVar("Here", bound=Callable[[], Callable[[], AbstractContextManager[Any]]])


def inherited(as_here: Here) -> Here:
    """Let workers do their work as it would be done here: a decorator.

    The function is called where work is given out, and returns what makes a context manager, picklable; the work is
    done inside that, be it in a thread, a process or on another machine.
    """
    _inherited.append(as_here)
    return as_here


def run(
    function: Callable[[T], R], items: Iterable[T], *, n_jobs: int | None = None, task: str = "", total: int = 0
) -> Generator[R, None, None]:
    """Yield ``function(item)`` for each item, in the items' order, computed by ``n_jobs`` workers.

    Parameters
    ----------
    function : callable
        Must be picklable where the executor is processes or Dask.
    items : iterable
        Read as workers come free, a few items per worker ahead. Where the caller is slower than the workers, or the
        result that it waits for is late, because its worker was killed and another one begins anew, they wait: some
        dozen results for each worker are there at a time, and the memory of the caller is bounded.
    n_jobs : int or None
        joblib's convention: None is 1 (or what ``joblib.parallel_config`` says), -1 every core.
    task : str
        What to call the work in the progress report; empty for none.
    total : int
        The number of items, for the progress report.

    Examples
    --------
    >>> from cvbow.parallel import run
    >>> list(run(len, ["a", "bc", "def"], n_jobs=2))
    [1, 2, 3]
    """
    workers = effective_jobs(n_jobs)
    limited = _Limited(_AsHere(function), os.getpid())
    _running.add(limited)
    with single_threaded(), progress(task, total) if task else contextlib.nullcontext(lambda done: None) as update:
        threads = _threads_in_force()
        results = (
            _by_joblib(limited, items, workers) if threads is None else _by_threads(limited, items, workers, threads)
        )
        try:
            for done, result in enumerate(results, 1):
                yield result
                update(done)
        except BaseException:
            results.close()
            limited.stop()
            raise
        finally:
            _running.discard(limited)


def _threads_in_force() -> Any:
    """Return joblib's backend of threads; None if the executor in force is another one."""
    from joblib.parallel import ThreadingBackend, get_active_backend

    backend, _ = get_active_backend(prefer="threads")
    return backend if isinstance(backend, ThreadingBackend) else None


def _by_threads(function: Callable[[T], R], items: Iterable[T], workers: int, threads: Any) -> Generator[R, None, None]:
    """Do the work by threads as joblib does it, which looks for results every hundredth of a second."""
    from joblib import parallel_config

    def call(item: T) -> R:
        # What does parallel work inside of the work has a pool of its own.
        inner, n_jobs = threads.get_nested_backend()
        with parallel_config(backend=inner, n_jobs=n_jobs):
            return function(item)

    if workers > 1:
        yield from in_order(call, items, workers, _AHEAD * workers)
    else:
        for item in items:
            yield function(item)


def _by_joblib(function: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R, None, None]:
    """Do the work by the executor in force."""
    from joblib import delayed

    call = delayed(function)
    pool = _in_step()(n_jobs=workers, return_as="generator", pre_dispatch="3*n_jobs")
    results = pool(call(item) for item in items)
    try:
        for result in results:
            yield result
            pool.take_one()
    finally:
        # joblib warns of lost work when it is stopped early: the caller, who stopped it, knows.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            results.close()


@functools.cache
def _in_step() -> Any:
    """Return the class of joblib's pools that keep in step with whoever takes their results; joblib loads late."""
    from joblib import Parallel

    class InStep(Parallel):  # type: ignore[misc]
        """Gives out no further work while many results have not been taken: joblib itself lets them pile up."""

        def __init__(self, **parameters: Any) -> None:
            super().__init__(**parameters)
            self.step, self.taken, self.owed = threading.Lock(), 0, 0

        def dispatch_next(self) -> None:
            # Called where a worker has come free; what is not given out now is owed.
            with self.step:
                if self.n_completed_tasks - self.taken > _AHEAD * self.n_jobs:
                    self.owed += 1
                    return
            super().dispatch_next()

        def dispatch_one_batch(self, iterator: Any) -> bool:
            # None: there was nothing left when another thread asked.
            return iterator is not None and bool(super().dispatch_one_batch(iterator))

        def take_one(self) -> None:
            """Tell that the caller is done with one more result."""
            with self.step:
                self.taken += 1
                due, self.owed = self.owed, 0
            for _ in range(due):
                self.dispatch_next()

    return InStep


def prefetched(
    function: Callable[[T], R], items: Iterable[T], *, n_jobs: int | None = 1, ahead: int = 0
) -> Iterator[R]:
    """Yield ``function(item)`` for each item, in order, made by threads before it is asked for.

    Unlike in ``run``, workers wait for the caller, and `items` may be endless: at most ``ahead`` results and one for
    each worker are there at a time. With one worker and nothing ahead, the caller's own thread does the work. Closing
    the iterator, or dropping it, lets the workers finish the items that they are at.

    Examples
    --------
    >>> import itertools
    >>> from cvbow.parallel import prefetched
    >>> endless = prefetched(lambda number: number**2, itertools.count(), n_jobs=2)
    >>> next(endless), next(endless), next(endless)
    (0, 1, 4)
    >>> endless.close()
    """
    n_threads = local_threads(n_jobs)
    if n_threads == 1 and ahead == 0:
        for item in items:
            yield function(item)
        return
    function = _AsHere(function)
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="cvbow-prefetch")
    try:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= n_threads + ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # An iterator that was dropped is closed by the garbage collector, which may run in any thread, even in one that
        # is just starting: to wait for others there is to wait for ever.
        pool.shutdown(wait=False, cancel_futures=True)


class _AsHere:
    """A function that does its work, wherever it is called, with what is in force where this is made."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.contexts = [as_here() for as_here in _inherited]

    def __call__(self, item: Any) -> Any:
        with contextlib.ExitStack() as stack:
            for context in self.contexts:
                stack.enter_context(context())
            return self.function(item)


class _Limited:
    """A function that, in a process other than the caller's, first limits the native thread pools for good.

    In the caller's process it knows the threads that are in it: one that is still in C++ when the interpreter ends
    would abort the process.
    """

    def __init__(self, function: Callable[[Any], Any], pid: int) -> None:
        self.function = function
        self.pid = pid
        self.inside: set[int] = set()
        self.left = threading.Condition()
        self.stopped = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _Limited, (self.function, self.pid)

    def __call__(self, item: Any) -> Any:
        if os.getpid() != self.pid:
            limit_this_process()
            return self.function(item)
        thread = threading.get_ident()
        with self.left:
            if self.stopped:
                return None
            self.inside.add(thread)
        try:
            return self.function(item)
        finally:
            with self.left:
                self.inside.discard(thread)
                self.left.notify_all()

    def stop(self) -> None:
        """Begin no further call, and wait for those that are under way, but never for the own thread's."""
        with self.left:
            self.stopped = True
            self.left.wait_for(lambda: self.inside <= {threading.get_ident()}, timeout=60)


#: What was begun and neither came to its end nor was closed: an error that is still known keeps what it interrupted.
_running: set[_Limited] = set()


@atexit.register
def _stop_all() -> None:
    for limited in [*_running]:
        limited.stop()
