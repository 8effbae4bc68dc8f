"""The one place that knows joblib: ordered parallel work, thread limits, and progress.

Work runs on joblib's threads unless a surrounding ``joblib.parallel_config`` names another executor (processes, Dask);
OpenCV and BLAS release the interpreter lock, so threads cost no copies. While work runs, BLAS and OpenCV use one
thread in each worker: the workers are the parallelism, and a sum's order, hence its last bits, then depends neither on
the number of workers nor on the number of cores.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import functools
import logging
import numbers
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from cvbow.errors import ExecutorError

__all__ = [
    "EXECUTORS",
    "Reporter",
    "cut",
    "default_jobs",
    "effective_jobs",
    "executor",
    "inherited",
    "local_threads",
    "map_threads",
    "note",
    "prefetched",
    "progress",
    "reporting",
    "run",
    "single_threaded",
]

T = TypeVar("T")
R = TypeVar("R")

#: So many results for each worker may wait for the caller of ``run``.
_AHEAD = 16

#: What can run the work of many images: names for :func:`executor`.
EXECUTORS = ("threads", "processes", "dask")


class Reporter(Protocol):
    """Receives cvbow's notes and progress: the command line shows them, a script may collect them.

    Examples
    --------
    >>> from cvbow.parallel import reporting, run
    >>> class Printer:
    ...     def note(self, line):
    ...         print(line)
    ...     def start(self, task, total):
    ...         print(f"{task}: {total}")
    ...     def update(self, done):
    ...         print(done)
    ...     def finish(self):
    ...         print("done")
    >>> with reporting(Printer()):
    ...     squares = list(run(lambda number: number**2, [1, 2], task="square", total=2))
    square: 2
    1
    2
    done
    """

    def note(self, line: str) -> None:
        """Take one line of text, said before or after a step."""

    def start(self, task: str, total: int) -> None:
        """Begin a task of ``total`` units."""

    def update(self, done: int) -> None:
        """Tell that ``done`` units of the current task are done."""

    def finish(self) -> None:
        """End the current task."""


class _Silent:
    def note(self, line: str) -> None:
        pass

    def start(self, task: str, total: int) -> None:
        pass

    def update(self, done: int) -> None:
        pass

    def finish(self) -> None:
        pass


_reporter: Reporter = _Silent()


@contextlib.contextmanager
def reporting(reporter: Reporter | None) -> Iterator[None]:
    """Send notes and progress to ``reporter`` inside the ``with`` block; None: to nobody."""
    global _reporter
    before, _reporter = _reporter, reporter or _Silent()
    try:
        yield
    finally:
        _reporter = before


def note(line: str) -> None:
    """Send one line to the current reporter."""
    _reporter.note(line)


@contextlib.contextmanager
def progress(task: str, total: int) -> Iterator[Callable[[int], None]]:
    """Report a task of ``total`` units; the block calls the yielded function with the units done so far."""
    reporter = _reporter
    reporter.start(task, total)
    try:
        yield reporter.update
    finally:
        reporter.finish()


def effective_jobs(n_jobs: int | None) -> int:
    """Return the number of workers that ``n_jobs`` stands for: joblib's rule, so None is 1 and -1 is every core.

    Examples
    --------
    >>> from cvbow.parallel import effective_jobs
    >>> effective_jobs(None), effective_jobs(3)
    (1, 3)
    """
    import joblib

    if n_jobs is not None and (not isinstance(n_jobs, numbers.Integral) or isinstance(n_jobs, bool) or n_jobs == 0):
        raise ValueError(f"n_jobs must be None or an integer other than 0, got {n_jobs!r}")
    return int(joblib.effective_n_jobs(n_jobs))


def local_threads(n_jobs: int | None) -> int:
    """Return the number of threads for ``n_jobs`` on this machine, whatever the size of a cluster in use."""
    return min(effective_jobs(n_jobs), os.cpu_count() or 1)


def cut(n: int, size: int) -> list[slice]:
    """Cut ``n`` rows into slices of ``size``, the last of which may be shorter."""
    return [slice(top, min(top + size, n)) for top in range(0, n, size)]


def map_threads(function: Callable[[slice], None], tasks: list[slice], n_threads: int) -> None:
    """Call ``function`` on each of ``tasks``, on up to ``n_threads`` threads; an error in one is raised here.

    For arithmetic on slices of arrays, where a joblib task would cost more than the work.
    """
    if n_threads <= 1 or len(tasks) <= 1:
        for task in tasks:
            function(task)
        return
    with ThreadPoolExecutor(min(n_threads, len(tasks))) as pool:
        for _ in pool.map(function, tasks):
            pass


@contextlib.contextmanager
def default_jobs(n_jobs: int | None) -> Iterator[None]:
    """Use ``n_jobs`` wherever ``n_jobs`` is None inside the block.

    Examples
    --------
    >>> from cvbow.parallel import default_jobs, effective_jobs
    >>> with default_jobs(3):
    ...     effective_jobs(None)
    3
    """
    import joblib

    if n_jobs is None:
        yield
    else:
        effective_jobs(n_jobs)  # refuses what is not a number of jobs
        with joblib.parallel_config(n_jobs=n_jobs):
            yield


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
    from joblib import delayed

    workers = effective_jobs(n_jobs)
    limited = _Limited(_AsHere(function), os.getpid())
    _running.add(limited)
    call = delayed(limited)
    with single_threaded(), progress(task, total) if task else contextlib.nullcontext(lambda done: None) as update:
        pool = _in_step()(n_jobs=workers, prefer="threads", return_as="generator", pre_dispatch="3*n_jobs")
        results = pool(call(item) for item in items)
        try:
            for done, result in enumerate(results, 1):
                yield result
                pool.take_one()
                update(done)
        except BaseException:
            # joblib warns of lost work when it is stopped early: the caller, who stopped it, knows.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                results.close()
            limited.stop()
            raise
        finally:
            _running.discard(limited)


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
        yield from map(function, items)
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
            _limit_this_process()
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


@functools.cache
def _limit_this_process() -> None:
    _enter_limits()


@functools.cache
def _controller() -> Any:
    # The native libraries are looked for once: numpy's, scipy's and OpenCV's are loaded by these imports.
    import cv2  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


_limit_lock = threading.Lock()
_limit_depth = 0
_limit_exit: contextlib.ExitStack | None = None


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS, OpenMP and OpenCV at one thread inside the block; blocks nest, also across Python threads."""
    global _limit_depth, _limit_exit
    with _limit_lock:
        if _limit_depth == 0:
            _limit_exit = _enter_limits()
        _limit_depth += 1
    try:
        yield
    finally:
        with _limit_lock:
            _limit_depth -= 1
            if _limit_depth == 0 and _limit_exit is not None:
                _limit_exit.close()
                _limit_exit = None


def _enter_limits() -> contextlib.ExitStack:
    import cv2

    stack = contextlib.ExitStack()
    libraries = _controller().lib_controllers
    stack.callback(_set_threads, libraries, [library.get_num_threads() for library in libraries])
    _set_threads(libraries, [1] * len(libraries))
    stack.callback(cv2.setNumThreads, cv2.getNumThreads())
    cv2.setNumThreads(1)
    return stack


def _set_threads(libraries: list[Any], numbers: list[int | None]) -> None:
    for library, number in zip(libraries, numbers, strict=True):
        # threadpoolctl 3.8 listens to one thread alone, the one that set OpenBLAS first. Here the last thread to leave
        # restores what the first to enter has set, so that claim is dropped.
        release = getattr(library, "clear_controlling_thread", None)
        if release is not None:
            release(force=True)
        if number is not None:
            library.set_num_threads(number)
        if release is not None:
            release(force=True)


@contextlib.contextmanager
def executor(name: str = "threads", scheduler: str | None = None, *, wait: float = 30.0) -> Iterator[None]:
    """Choose the executor of the work inside the block.

    Parameters
    ----------
    name : {"threads", "processes", "dask"}
        Dask needs the extra ``cvbow[dask]``.
    scheduler : str, optional
        The address of a running Dask scheduler, ``tcp://host:port``; without it Dask starts workers on this machine.
    wait : float, default 30.0
        Seconds to wait for Dask's scheduler, or for a first worker, before ExecutorError is raised.

    Raises
    ------
    ValueError
        If there is no executor of this name, or a scheduler is given to one other than Dask.
    ImportError
        If Dask is asked for and not installed.

    Examples
    --------
    >>> from cvbow.parallel import executor, run
    >>> with executor("threads"):
    ...     list(run(len, ["a", "bc", "def"], n_jobs=2))
    [1, 2, 3]
    """
    if name not in EXECUTORS:
        raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, got {name!r}")
    if scheduler is not None and name != "dask":
        raise ValueError(f"scheduler needs the executor dask, got {scheduler!r} with {name!r}")
    import joblib

    if name == "threads":
        with joblib.parallel_config(backend="threading"):
            yield
    elif name == "processes":
        with _processes():
            yield
    else:
        with _dask(scheduler, wait):
            yield


@contextlib.contextmanager
def _processes() -> Iterator[None]:
    import joblib

    started = {"initializer": _start_worker, "initargs": (os.getpid(),)}
    try:
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1, **started):
            yield
    except BaseException as error:
        from joblib.executor import MemmappingExecutor
        from joblib.externals.loky import get_reusable_executor

        # Nobody will ask the workers for anything, and they would live on.
        workers = get_reusable_executor(reuse=True)
        if isinstance(workers, MemmappingExecutor):
            # With them go the files that they shared, of which the resource tracker would else complain.
            workers.terminate(kill_workers=True)
        else:
            workers.shutdown(wait=True, kill_workers=True)
        if isinstance(error, BrokenProcessPool):
            why = "often because the memory was full: fewer workers (--n-jobs) need less"
            raise ExecutorError(f"a worker process was killed, {why}") from error
        raise


def _start_worker(parent: int) -> None:
    """Make a worker process leave Ctrl-C to its parent, and end when that ends, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name == "posix":  # elsewhere a process keeps the number of a parent that is gone
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


class _Gone(BaseException):
    """Raised in the thread that waits for Dask, whatever it is waiting for."""


@contextlib.contextmanager
def _dask(scheduler: str | None, wait: float) -> Iterator[None]:
    import joblib

    try:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise ImportError("the executor dask needs the extra: pip install 'cvbow[dask]'") from error
    # What it has to say is said here, in one line.
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    where = f"Dask's scheduler at {scheduler}" if scheduler else "Dask's scheduler"
    gone = f"{where} does not answer; start it, and repeat the command"
    try:
        client = Client(scheduler, timeout=wait)
    except (OSError, ValueError) as error:
        raise ExecutorError(f"{gone} ({' '.join(str(error).split())})") from error
    watch = _Watch(client, where, wait)
    try:
        with joblib.parallel_config(backend="dask", client=client, wait_for_workers_timeout=wait):
            yield
    except BaseException as error:
        reason = watch.reason
        if reason is None and isinstance(error, KilledWorker):
            reason = "Dask's workers were killed several times at the same image, often because the memory was full"
        if reason is None and isinstance(error, CancelledError | asyncio.CancelledError | CommClosedError):
            reason = gone
        if reason is None and isinstance(error, TimeoutError):
            reason = f"{where} had no worker for {wait:g} seconds (--wait)"
        if reason is None:
            raise
        raise ExecutorError(reason) from error
    finally:
        watch.ended.set()
        client.close(timeout=5)


class _Watch:
    """Looks after a Dask cluster, for joblib waits for it without a limit; ends the block where it is gone for long."""

    def __init__(self, client: Any, where: str, wait: float) -> None:
        self.client = client
        self.where = where
        self.wait = wait
        self.ended = threading.Event()
        self.reason: str | None = None
        self.waiting = threading.get_ident()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        seen = time.monotonic()
        while not self.ended.wait(min(1.0, self.wait / 4)):
            try:
                n_workers = len(self.client.sync(self.client.scheduler.ncores, callback_timeout=5))
                reason = f"{self.where} had no worker for {self.wait:g} seconds (--wait)"
            except Exception:
                n_workers, reason = 0, f"{self.where} does not answer; start it, and repeat the command"
            if n_workers:
                seen = time.monotonic()
            elif time.monotonic() - seen > self.wait and not self.ended.is_set():
                self.reason = reason
                # It may wait in any of joblib's or Dask's loops; all of them come back to Python now and then.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.waiting), ctypes.py_object(_Gone))
                return
