"""parallel: order, errors, limits on native threads, executors, and what is reported."""

from __future__ import annotations

import gc
import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import joblib
import numpy as np
import pytest
import scipy.linalg  # noqa: F401  (its BLAS is one of those that are limited)
import threadpoolctl
from notes import Notes

from cvbow.parallel import (
    default_jobs,
    effective_jobs,
    executor,
    local_threads,
    map_threads,
    prefetched,
    run,
    single_threaded,
)
from cvbow.progress import reporting


def blas_threads() -> list[int]:
    # FAISS, which other tests load, has a BLAS of its own, whose number is one for each thread; cvbow sets it there.
    pools = [pool for pool in threadpoolctl.threadpool_info() if "faiss" not in pool["filepath"]]
    return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]


def square(number: int) -> int:
    return number * number


def square_and_surroundings(number: int) -> tuple[int, int, int, int]:
    """The square, the process, and the threads that BLAS and OpenCV may use in it."""
    return number * number, os.getpid(), max(blas_threads()), cv2.getNumThreads()


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise KeyError("seven")
    return number


@pytest.fixture
def two_native_threads() -> Iterator[None]:
    """Two threads for BLAS and OpenCV, so that there is something to limit and to restore on any machine."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    with threadpoolctl.threadpool_limits(2):
        if max(blas_threads(), default=1) < 2 or cv2.getNumThreads() < 2:
            pytest.skip("needs a BLAS and an OpenCV that can use two threads")
        yield
    cv2.setNumThreads(before)


# run


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 5, -1])
def test_results_come_in_the_order_of_the_items(n_jobs: int | None) -> None:
    random = np.random.default_rng(0)
    pauses = random.uniform(0, 2e-3, 60)

    def work(item: int) -> int:
        threading.Event().wait(pauses[item])
        return square(item)

    assert list(run(work, range(60), n_jobs=n_jobs)) == [square(item) for item in range(60)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_items_give_no_results(n_jobs: int) -> None:
    assert list(run(square, [], n_jobs=n_jobs)) == []
    assert list(run(square, iter(()), n_jobs=n_jobs, task="nothing", total=0)) == []


def test_workers_work_at_the_same_time() -> None:
    # Each of two items waits for the other: one worker alone would never pass.
    meeting = threading.Barrier(2, timeout=30)
    assert sorted(run(lambda _: meeting.wait(), range(2), n_jobs=2)) == [0, 1]


def test_one_worker_reads_an_item_when_its_result_is_asked_for() -> None:
    taken: list[int] = []
    results = run(square, (taken.append(item) or item for item in range(10)), n_jobs=1)  # type: ignore[func-returns-value]
    assert taken == []
    assert next(results) == 0
    assert taken == [0]
    assert next(results) == 1
    assert taken == [0, 1]
    results.close()


def test_busy_workers_read_a_few_items_ahead() -> None:
    taken: list[int] = []
    gate = threading.Event()

    def work(item: int) -> int:
        assert gate.wait(timeout=30)
        return item

    with ThreadPoolExecutor(1) as pool:
        items = (taken.append(item) or item for item in range(500))  # type: ignore[func-returns-value]
        everything = pool.submit(lambda: list(run(work, items, n_jobs=2)))
        try:
            while len(taken) < 2 and not everything.done():
                gate.wait(0.01)
            gate.wait(0.1)
            ahead = len(taken)
        finally:
            gate.set()
        assert everything.result(timeout=30) == list(range(500))
    assert 2 <= ahead <= 8


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
def test_workers_wait_for_a_slow_caller(n_jobs: int) -> None:
    made: list[int] = []
    results = run(lambda item: made.append(item) or item, range(1000), n_jobs=n_jobs)  # type: ignore[func-returns-value]
    got = [next(results)]
    while (before := len(made)) < 1000:
        threading.Event().wait(0.05)
        if len(made) == before:  # all of them wait
            break
    assert len(made) <= 25 * n_jobs
    assert n_jobs == 1 or len(made) >= 16 * n_jobs, "a busy caller keeps none waiting"
    got += results
    assert got == list(range(1000))


def test_results_that_are_there_do_not_wait_for_items() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        assert gate.wait(timeout=30)
        yield 3

    results = run(square, items(), n_jobs=2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    gate.set()
    assert list(results) == [9]


def test_work_that_does_parallel_work_has_pools_of_its_own() -> None:
    def work(item: int) -> list[int]:
        return list(joblib.Parallel(n_jobs=2)(joblib.delayed(square)(item) for _ in range(10)))

    assert list(run(work, range(30), n_jobs=3)) == [[square(item)] * 10 for item in range(30)]


def test_workers_wait_for_a_late_result() -> None:
    made: list[int] = []
    gate = threading.Event()

    def work(item: int) -> int:
        if item == 3:
            assert gate.wait(timeout=30)
        made.append(item)
        return item

    with ThreadPoolExecutor(1) as pool:
        everything = pool.submit(lambda: list(run(work, range(500), n_jobs=2)))
        before = -1
        while before < len(made):
            before = len(made)
            gate.wait(0.2)
        gate.set()
        assert everything.result(timeout=30) == list(range(500))
    assert 3 <= before <= 50


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_an_error_of_the_function_is_raised(n_jobs: int) -> None:
    got = []
    with pytest.raises(KeyError, match="seven"):  # noqa: PT012
        for result in run(fail_at_seven, range(100), n_jobs=n_jobs):
            got.append(result)
    assert got == list(range(len(got)))
    assert len(got) <= 7


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_work_that_runs_out_of_something_is_an_error_and_no_end(n_jobs: int) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(run(lambda item: next(iter(range(item))), [1, 0, 1], n_jobs=n_jobs))


def test_after_an_error_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return fail_at_seven(item)

    results = run(work, range(10_000), n_jobs=2)
    with pytest.raises(KeyError):
        list(results)
    assert len(begun) < 60


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_of_the_items_is_raised(n_jobs: int) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(run(square, items(), n_jobs=n_jobs))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.usefixtures("two_native_threads")
def test_stopping_early_is_quiet_and_undoes_everything(n_jobs: int) -> None:
    collector = Notes()
    with reporting(collector):
        results = run(square, range(300), n_jobs=n_jobs, task="squares", total=300)
        assert next(results) == 0
        assert next(results) == 1
        assert set(blas_threads()) == {1}
        results.close()  # joblib's warning of lost work would be an error here
    assert collector.shown == [(0, "squares 0/300"), (1 / 300, "squares 1/300")]
    assert collector.n_finished == 1
    assert max(blas_threads()) == 2

    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        for _ in run(square, range(300), n_jobs=n_jobs):
            raise ZeroDivisionError
    gc.collect()
    assert max(blas_threads()) == 2
    assert list(run(square, range(4), n_jobs=n_jobs)) == [0, 1, 4, 9]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.usefixtures("two_native_threads")
def test_native_libraries_use_one_thread_while_work_runs(n_jobs: int) -> None:
    seen = list(run(square_and_surroundings, range(6), n_jobs=n_jobs))
    assert [result[0] for result in seen] == [square(item) for item in range(6)]
    assert {result[1:] for result in seen} == {(os.getpid(), 1, 1)}
    assert max(blas_threads()) == 2
    assert cv2.getNumThreads() == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_two_runs_may_be_read_by_turns(n_jobs: int) -> None:
    first, second = run(square, range(20), n_jobs=n_jobs), run(abs, range(-20, 0), n_jobs=n_jobs)
    pairs = list(zip(first, second, strict=True))
    assert pairs == [(square(i), 20 - i) for i in range(20)]


# map_threads


@pytest.mark.parametrize("n_threads", [-1, 0, 1, 2, 5])
def test_map_threads_does_every_task_once(n_threads: int) -> None:
    done: list[slice] = []
    tasks = [slice(top, top + 2) for top in range(0, 20, 2)]
    map_threads(done.append, tasks, n_threads)
    assert sorted(done, key=lambda rows: rows.start) == tasks
    map_threads(done.append, [], n_threads)
    assert len(done) == len(tasks)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_map_threads_raises_what_a_task_raised(n_threads: int) -> None:
    def fail(rows: slice) -> None:
        if rows.start == 3:
            raise KeyError("the third")

    with pytest.raises(KeyError, match="the third"):
        map_threads(fail, [slice(i, i + 1) for i in range(6)], n_threads)


# Jobs


def test_effective_jobs_follows_joblib() -> None:
    cores = joblib.cpu_count()
    assert effective_jobs(None) == 1
    assert [effective_jobs(n_jobs) for n_jobs in (1, 2, 7)] == [1, 2, 7]
    assert effective_jobs(-1) == cores
    assert effective_jobs(-cores - 5) == 1
    assert effective_jobs(np.int64(3)) == 3


@pytest.mark.parametrize("n_jobs", [0, 1.0, "2", True, float("nan"), [1]])
def test_what_is_no_number_of_jobs_is_refused(n_jobs: Any) -> None:
    message = f"^{re.escape(f'n_jobs must be None or an integer other than 0, got {n_jobs!r}')}$"
    with pytest.raises(ValueError, match=message):
        effective_jobs(n_jobs)
    with pytest.raises(ValueError, match=message):
        local_threads(n_jobs)
    with pytest.raises(ValueError, match=message):
        next(run(square, [1], n_jobs=n_jobs))
    with pytest.raises(ValueError, match=message), default_jobs(n_jobs):
        pass


def test_local_threads_are_no_more_than_this_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert [local_threads(n_jobs) for n_jobs in (None, 1, 2, 3, 50)] == [1, 1, 2, 3, 3]
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert local_threads(8) == 1


def test_default_jobs_is_what_none_stands_for() -> None:
    with default_jobs(3):
        assert effective_jobs(None) == 3
        assert effective_jobs(2) == 2
        with default_jobs(None):
            assert effective_jobs(None) == 3
        with default_jobs(2), executor("processes"):
            assert effective_jobs(None) == 2
    assert effective_jobs(None) == 1
    with executor("processes"), default_jobs(2):
        assert effective_jobs(None) == 2
        assert type(joblib.parallel.get_active_backend()[0]).__name__ == "LokyBackend"


# Limits


@pytest.mark.usefixtures("two_native_threads")
def test_single_threaded_nests_and_restores() -> None:
    with single_threaded():
        assert set(blas_threads()) == {1}
        assert cv2.getNumThreads() == 1
        with single_threaded():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
        assert cv2.getNumThreads() == 1
    assert max(blas_threads()) == 2
    assert cv2.getNumThreads() == 2


@pytest.mark.usefixtures("two_native_threads")
def test_single_threaded_restores_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), single_threaded():
        raise ZeroDivisionError
    assert max(blas_threads()) == 2
    assert cv2.getNumThreads() == 2


@pytest.mark.usefixtures("two_native_threads")
def test_single_threaded_holds_until_the_last_thread_leaves() -> None:
    first_in, second_in, first_out = (threading.Event() for _ in range(3))
    seen: dict[str, tuple[int, int]] = {}

    def first() -> None:
        with single_threaded():
            first_in.set()
            assert second_in.wait(30)
        first_out.set()

    def second() -> None:
        assert first_in.wait(30)
        with single_threaded():
            second_in.set()
            assert first_out.wait(30)
            seen["the first has left"] = max(blas_threads()), cv2.getNumThreads()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result(timeout=60)
    assert seen == {"the first has left": (1, 1)}
    assert max(blas_threads()) == 2
    assert cv2.getNumThreads() == 2


# Executors


def test_processes_give_the_same_results_and_are_limited_to_one_native_thread() -> None:
    with executor("processes"):
        seen = list(run(square_and_surroundings, range(12), n_jobs=2))
        with pytest.raises(KeyError, match="seven"):
            list(run(fail_at_seven, range(12), n_jobs=2))
    assert [result[0] for result in seen] == [square(item) for item in range(12)]
    processes = {result[1] for result in seen}
    assert os.getpid() not in processes
    assert {result[2:] for result in seen} == {(1, 1)}


def test_threads_are_the_default_and_can_be_named() -> None:
    assert {process for _, process, _, _ in run(square_and_surroundings, range(4), n_jobs=2)} == {os.getpid()}
    with executor("processes"), executor("threads"):
        assert {process for _, process, _, _ in run(square_and_surroundings, range(4), n_jobs=2)} == {os.getpid()}


def test_the_executor_is_as_before_after_the_block() -> None:
    before = type(joblib.parallel.get_active_backend()[0])
    with executor("threads"):
        assert type(joblib.parallel.get_active_backend()[0]).__name__ == "ThreadingBackend"
    assert type(joblib.parallel.get_active_backend()[0]) is before


def test_an_unknown_executor_is_refused() -> None:
    with (
        pytest.raises(ValueError, match=r"^executor must be one of threads, processes, dask, got 'mpi'$"),
        executor("mpi"),
    ):
        pass


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_a_scheduler_goes_with_dask_alone(name: str) -> None:
    with (
        pytest.raises(ValueError, match=rf"^scheduler needs the executor dask, got 'tcp://h:1' with '{name}'$"),
        executor(name, "tcp://h:1"),
    ):
        pass


def test_dask_that_is_not_installed_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'cvbow[dask]'")), executor("dask"):
        pass


def test_dask_gives_the_same_results() -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra: pip install 'cvbow[dask]'")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        executor("dask", cluster.scheduler_address),
    ):
        assert list(run(square, range(30))) == [square(item) for item in range(30)]
        assert {result[2:] for result in run(square_and_surroundings, range(4))} == {(1, 1)}
        with pytest.raises(KeyError, match="seven"):
            list(run(fail_at_seven, range(30)))
    assert list(run(square, range(3))) == [0, 1, 4]


def test_the_interpreter_ends_soon_where_an_error_stopped_the_caller() -> None:
    code = (
        "import time\n"
        "from cvbow.parallel import run\n"
        "for result in run(lambda item: time.sleep(0.2), range(10_000), n_jobs=2):\n"
        "    raise ValueError('here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: here\n")


def test_an_iterator_that_is_closed_does_not_wait_for_its_workers() -> None:
    # The garbage collector may close it in any thread, where waiting for others can be waiting for ever.
    go_on = threading.Event()
    iterator = prefetched(lambda number: number == 0 or go_on.wait(30), itertools.count(), n_jobs=2, ahead=3)
    assert next(iterator)
    closer = threading.Thread(target=iterator.close)  # type: ignore[attr-defined]
    closer.start()
    closer.join(10)
    waited = closer.is_alive()
    go_on.set()
    closer.join()
    assert not waited
    assert list(iterator) == []
