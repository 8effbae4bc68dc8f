"""What runs the work of many images: threads, processes, or the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from cvbow.errors import ExecutorError

#: What can run the work of many images: names for :func:`executor`.
EXECUTORS = ("threads", "processes", "dask")


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
