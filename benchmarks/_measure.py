"""What the benchmarks share: alternating rounds, medians and ratios, pinned threads, a record of the environment.

Contenders take turns within a round, and a ratio is the median over rounds of the ratio within a round: what slows the
machine for a while slows both sides of it.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Seconds of rest before a turn: the threads of some libraries spin for a while after their work is done.
_REST = 0.05


@dataclass
class Turns:
    """What one contender did, round by round.

    Attributes
    ----------
    seconds : list of float
        Of one call, per round.
    answers : list
        What its last call in each round returned, if answers are kept.
    """

    seconds: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)


def alternate(
    contenders: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    warm_up: bool = True,
    shortest: float = 0.0,
    once: Collection[str] = (),
    keep: bool = False,
) -> dict[str, Turns]:
    """Let contenders take turns, each round starting with another one.

    Parameters
    ----------
    contenders : mapping of name to function
        A function takes the number of the round, from 0.
    rounds : int
    warm_up : bool
        Call each one before the first round, untimed.
    shortest : float
        A turn repeats its call until about this many seconds are full, and counts their mean; needs the warm-up.
    once : collection of names
        Contenders too slow for more than one call: no warm-up, and a turn in the first round only.
    keep : bool
        Keep what the calls return.
    """
    repeats = dict.fromkeys(contenders, 1)
    if warm_up:
        for name, call in contenders.items():
            if name not in once:
                call(0)
                if shortest > 0:
                    repeats[name] = max(1, round(shortest / _clocked(call, 0, 1)[0]))
    turns = {name: Turns() for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            if number and name in once:
                continue
            time.sleep(_REST)
            seconds, answer = _clocked(contenders[name], number, repeats[name])
            turns[name].seconds.append(seconds)
            if keep:
                turns[name].answers.append(answer)
        print(f"  round {number + 1} of {rounds}", file=sys.stderr)
    return turns


def _clocked(call: Callable[[int], object], number: int, repeats: int) -> tuple[float, object]:
    started = time.perf_counter()
    for _ in range(repeats):
        answer = call(number)
    return (time.perf_counter() - started) / repeats, answer


def summary(
    turns: Mapping[str, Turns], labels: Mapping[str, str], *, work: float | None = None
) -> list[dict[str, Any]]:
    """One record per contender, ready for JSON: its median, its rounds, and cvbow against it.

    ``ratio`` is the median over rounds of the contender's time over cvbow's, so above 1 cvbow is faster; ``work`` over
    the median time is the ``rate``.
    """
    records = []
    for name, turn in turns.items():
        median = statistics.median(turn.seconds)
        record: dict[str, Any] = {"name": name, "label": labels[name], "seconds": rounded(median)}
        if work is not None:
            record["rate"] = rounded(work / median)
        if name != "cvbow":
            each = [its / ours for its, ours in zip(turn.seconds, turns["cvbow"].seconds, strict=False)]
            record["ratio"] = rounded(statistics.median(each))
            record["ratio_range"] = [rounded(min(each)), rounded(max(each))]
        record["rounds"] = [rounded(seconds) for seconds in turn.seconds]
        records.append(record)
    return records


def rounded(value: float, digits: int = 4) -> float:
    """``value`` to four significant digits: more would be noise."""
    return float(f"{value:.{digits}g}")


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Hold OpenCV, BLAS and OpenMP at a number of threads inside the block; import the contenders before it."""
    import cv2
    from threadpoolctl import threadpool_limits

    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        cv2.setNumThreads(before)


def environment(*, threads: int, seed: int, smoke: bool) -> dict[str, Any]:
    """What a figure depends on besides the code that took it."""
    from threadpoolctl import threadpool_info

    from cvbow.experiments.environment import checkout_commit, processor

    versions = _versions()  # imports them all, so that their BLAS is listed
    record: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": checkout_commit(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "seed": seed,
        "system": f"{platform.system()} {platform.machine()}",
        "blas": sorted(
            {
                f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".rstrip()
                for pool in threadpool_info()
                if pool["user_api"] == "blas"
            }
        ),
        "versions": versions,
    }
    if hasattr(os, "getloadavg"):
        # Work of others on the machine at the start; what the benchmark adds comes later.
        record["load_before"] = round(os.getloadavg()[0], 2)
    if smoke:
        record["smoke"] = True
    return record


def _versions() -> dict[str, str | None]:
    import cv2
    import numpy
    import scipy
    import sklearn
    from peers import vlfeat

    import cvbow

    return {
        "python": platform.python_version(),
        "cvbow": cvbow.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "opencv": cv2.__version__,
        "scikit-image": importlib.import_module("skimage").__version__ if has_scikit_image() else None,
        "faiss": faiss_module().__version__ if has_faiss() else None,
        "vlfeat": vlfeat.VERSION if vlfeat.available() else None,
    }


def peak_memory() -> int | None:
    """The most bytes that this process held; None where there is no Linux to tell.

    What the system counts for a process that was waited for begins with the memory of the one that started it.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])  # type: ignore[index]


def shared_data() -> Path | None:
    """CVBOW_SHARED_DATA, else shared/data beside the checkout, else None."""
    named = os.environ.get("CVBOW_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def has_faiss() -> bool:
    """Whether FAISS is installed."""
    return _installed("faiss")


def has_scikit_image() -> bool:
    """Whether scikit-image is installed."""
    return _installed("skimage")


def _installed(module: str) -> bool:
    """Whether a module can be imported; one that `sys.modules` maps to None counts as absent."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:
        return False


def faiss_module() -> Any:
    """Import FAISS; its name is in this one place."""
    return importlib.import_module("faiss")


def folder_hash(*folders: Path) -> str:
    """SHA-256 over the names and contents of all files in folders, in the order of their names."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def merge_sections(path: Path, sections: Mapping[str, object], *, order: Sequence[str] = ()) -> None:
    """Put sections into a JSON file, in place of those of the same name, and leave its others as they are."""
    document: dict[str, object] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    document.update(sections)
    names = sorted(document, key=lambda name: (order.index(name) if name in order else len(order), name))
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.part")
    whole.write_text(json.dumps({name: document[name] for name in names}, indent=1) + "\n", encoding="utf-8")
    whole.replace(path)
