"""The native libraries' threads: one each while Python's own workers are the parallelism."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any


@functools.cache
def limit_this_process() -> None:
    """Hold BLAS, OpenMP and OpenCV at one thread for good."""
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
