"""How many workers there are, and work on slices of arrays by threads."""

from __future__ import annotations

import contextlib
import numbers
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor


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


def map_threads(function: Callable[[slice], None], tasks: list[slice], n_threads: int | None = None) -> None:
    """Call ``function`` on each of ``tasks``, on up to ``n_threads`` threads; an error in one is raised here.

    For arithmetic on slices of arrays, where a joblib task would cost more than the work. None is what
    ``local_threads(None)`` says, which is asked where there are several tasks.
    """
    if n_threads is None:
        n_threads = local_threads(None) if len(tasks) > 1 else 1
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
