"""The one place that knows joblib: ordered parallel work and thread limits.

Work runs on threads unless a surrounding ``joblib.parallel_config`` names another executor (processes, Dask);
OpenCV and BLAS release the interpreter lock, so threads cost no copies. While work runs, BLAS and OpenCV use one
thread in each worker: the workers are the parallelism, and a sum's order, hence its last bits, then depends neither on
the number of workers nor on the number of cores.
"""

from cvbow.parallel._executors import EXECUTORS, executor
from cvbow.parallel._jobs import cut, default_jobs, effective_jobs, local_threads, map_threads
from cvbow.parallel._threads import single_threaded
from cvbow.parallel._working import inherited, prefetched, run

__all__ = [
    "EXECUTORS",
    "cut",
    "default_jobs",
    "effective_jobs",
    "executor",
    "inherited",
    "local_threads",
    "map_threads",
    "prefetched",
    "run",
    "single_threaded",
]
