"""Training on a cluster whose workers have little memory, and one of which is killed, beside training with threads.

    python benchmarks/cluster.py [--images N] [--limit MB] [--data DIR] [--json FILE]
    python benchmarks/cluster.py --smoke

The training images of 15-Scene are listed again and again until there are enough; the vectors go to a file. Dask has
two workers on this machine, each of one thread, which end if they hold more than the limit; when a third of the images
are encoded, one of them is killed, and another takes its place. Both models must have the same content hash.

Memory is the most that the process which trains held at a time: all of it, in which pages of the file count that the
system would take back, and what is of no file; and the most that a worker held.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from _measure import ROOT, environment, merge_sections, peak_memory, rounded, shared_data

from cvbow import list_images, make_model
from cvbow.experiments.scripts.cluster import SECTIONS
from cvbow.parallel import executor
from cvbow.progress import reporting

RESULTS = ROOT / "benchmarks" / "results" / "cluster.json"
N_WORKERS = 2
#: Of the recipe "fast", for vectors of 8,400 values in place of 1,000; they take no more time to make.
SETTINGS = {"mirror": False, "grids": ("1x1", "2x2", "4x4")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train in a process of its own with each executor, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, metavar="N")
    parser.add_argument("--limit", type=int, default=600, metavar="MB", help="memory of a worker")
    parser.add_argument("--data", type=Path, metavar="DIR", default=shared_data(), help="holds scene15/train")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/cluster.json")
    parser.add_argument("--smoke", action="store_true", help="seconds, on images made here; writes no file")
    parser.add_argument("--with", dest="name", choices=SECTIONS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.data is None and not options.smoke:
        parser.error("--data must name a folder that has scene15, as scene15/train/<class>/<image>")
    if options.name:
        print(json.dumps(trained(options)))
        return 0
    names = SECTIONS if importlib.util.find_spec("distributed") else SECTIONS[:1]
    if len(names) < len(SECTIONS):
        print("without a cluster, which needs the extra: pip install 'cvbow[dask]'", file=sys.stderr)
    given = [__file__, *(sys.argv[1:] if arguments is None else arguments)]
    results = {}
    for name in names:
        done = subprocess.run([sys.executable, *given, "--with", name], check=True, stdout=subprocess.PIPE, text=True)
        results[name] = json.loads(done.stdout)
    print(json.dumps(results, indent=1))
    if len({result["content_hash"] for result in results.values()}) > 1:
        print("the models differ", file=sys.stderr)
        return 1
    target = options.json or (RESULTS if len(names) > 1 and not options.smoke else None)
    if target is not None:
        merge_sections(target, results, order=SECTIONS)
    return 0


def trained(options: argparse.Namespace) -> dict[str, Any]:
    """Train with one executor, and return what it took and the hash of the model."""
    with tempfile.TemporaryDirectory(prefix="cvbow-cluster-") as folder:
        n_images = 90 if options.smoke else options.images
        images, labels = _listed(options, Path(folder), n_images)
        settings = {"n_words": 16, "sample": 5000} if options.smoke else SETTINGS
        model = make_model("fast", settings=settings, n_jobs=N_WORKERS).set_params(vectors=folder)
        with contextlib.ExitStack() as stack:
            cluster = None
            if options.name == "threads":
                stack.enter_context(executor("threads"))
            else:
                cluster = stack.enter_context(_cluster(options.limit))
                stack.enter_context(executor("dask", cluster.scheduler_address))
                stack.enter_context(reporting(Killer(cluster, at=n_images // 3)))
            memory = stack.enter_context(_anonymous_memory())
            model.fit(images, labels)
            workers = None if cluster is None else _of_workers(cluster)
        return {
            "environment": environment(threads=N_WORKERS, seed=0, smoke=options.smoke),
            "recipe": {"preset": "fast", **settings},
            "n_images": n_images,
            "n_files": len(set(images)),
            "vector_length": int(model.backend_.vector_length),
            "limit_mb": None if cluster is None else options.limit,
            "workers": workers,
            "seconds": {step: rounded(seconds) for step, seconds in model.seconds_.items()},
            "peak_mb": _megabytes(peak_memory()),
            "without_files_mb": _megabytes(max(memory, default=None)),
            "content_hash": model.save(Path(folder) / "model.cvbow"),
        }


def _listed(options: argparse.Namespace, folder: Path, n_images: int) -> tuple[list[str], list[str]]:
    source = _made_in(folder / "images") if options.smoke else options.data / "scene15"
    listed = list_images(source).select("train")
    pairs = list(islice(cycle(zip(listed.paths, listed.labels, strict=True)), n_images))
    return [path for path, _ in pairs], [label for _, label in pairs]


def _made_in(folder: Path) -> Path:
    import cv2

    random = np.random.default_rng(0)
    for number in range(24):
        grain = 1 + 7 * (number % 2)
        target = folder / "train" / ("coarse" if grain > 1 else "fine") / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (64 // grain, 64 // grain), np.uint8)
        cv2.imwrite(str(target), coarse.repeat(grain, 0).repeat(grain, 1))
    return folder


@contextlib.contextmanager
def _cluster(limit: int) -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=N_WORKERS, threads_per_worker=1, memory_limit=f"{limit}MB", dashboard_address=":0"
    ) as cluster:
        yield cluster


class Killer:
    """Kills a worker when so many images are encoded; a reporter of cvbow's."""

    def __init__(self, cluster: Any, at: int) -> None:
        self.cluster = cluster
        self.at = f"encode {at}/"
        self.killed = False

    def note(self, line: str) -> None:
        """Show it."""
        print(line, file=sys.stderr)

    def show(self, share: float, stage: str) -> None:
        """Kill, when it is time."""
        if stage.startswith(self.at) and not self.killed:
            self.killed = True
            first = next(iter(self.cluster.workers.values()))
            os.kill(first.pid, signal.SIGKILL)
            print(f"worker {first.pid} killed at {stage}", file=sys.stderr)

    def finish(self) -> None:
        """Wait for more work."""


def _of_workers(cluster: Any) -> list[dict[str, Any]]:
    """Return the peak of memory of each worker that is there at the end."""
    from distributed import Client

    with Client(cluster.scheduler_address) as client:
        peaks = client.run(_peak)
    return [{"peak_mb": _megabytes(peak)} for peak in peaks.values()]


def _peak() -> int | None:
    # In a worker, which may not import what lies beside this script.
    status = Path("/proc/self/status")
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) if status.exists() else None


@contextlib.contextmanager
def _anonymous_memory() -> Iterator[list[int]]:
    """Look again and again how much memory of this process is none of a file; the largest is the last of the list."""
    found: list[int] = []
    ended = threading.Event()
    status = Path("/proc/self/status")

    def look() -> None:
        while not ended.wait(0.05):
            now = 1024 * int(re.findall(r"RssAnon:\s+(\d+) kB", status.read_text())[0])
            if now > max(found, default=0):
                found.append(now)

    if status.exists():
        threading.Thread(target=look, daemon=True).start()
    try:
        yield found
    finally:
        ended.set()


def _megabytes(n_bytes: int | None) -> float | None:
    return None if n_bytes is None else rounded(n_bytes / 1e6)


if __name__ == "__main__":
    sys.exit(main())
