"""Damaged image files against cvbow's reading, features and statistics: nothing may crash, hang, or take 1 GB.

    python benchmarks/fuzz_images.py [--count N] [--seed N] [--json FILE] [--data DIR] [--first N]
    python benchmarks/fuzz_images.py --smoke

Each file is an image with something broken: bytes flipped, cut out, repeated, zeroed; the file truncated; its front
taken from a file of another format; another size forged into its header (with checksums made right, so that it is
believed). The images are made here, in every format that the installed decoders read (HEIC with ``cvbow[heif]``);
photographs are mutated as well where there are some (CVBOW_SHARED_DATA, or shared/data beside the checkout). File
number i of a seed is always the same one, with the same decoders.

A child process reads each file as the commands do, in gray for its descriptors (dense SIFT, and SIFT) and in colour for
its statistics; the parent kills it when a file takes too long, starts another when it dies, and looks at its memory.
The exit code is 1 unless every file was read or refused with a reason, within the limits.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _answering import Answering
from _broken_images import mutated, seed_images
from _measure import ROOT, environment, shared_data

RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
#: Limits for one file: seconds of processor time (a hang is four times as many on the clock), and MB (10^6 bytes) of
#: resident memory of the process, libraries included.
SECONDS, MEGABYTES = 30.0, 1000.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate, read, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="files to make (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first file (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes that read (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/fuzz.json")
    parser.add_argument("--data", type=Path, metavar="DIR", default=shared_data(), help="photographs to mutate as well")
    parser.add_argument("--smoke", action="store_true", help="100 files, none of them photographs; writes no file")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.smoke:
        options.count, options.data = min(options.count, 100), None
    if options.child:
        _child(options.seed, options.data)
        return 0
    for name in ("count", "jobs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")

    result = _judge(options)
    print(json.dumps({key: value for key, value in result.items() if key != "environment"}, indent=2))
    target = options.json or (None if options.smoke else RESULTS)
    if target is not None:
        target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"written to {target}", file=sys.stderr)
    return 0 if not result["failures"] else 1


def _judge(options: argparse.Namespace) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    by_kind: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {"features": Counter(), "stats": Counter()}
    failures: list[dict[str, Any]] = []
    slowest: list[tuple[float, int, str]] = []
    largest: list[tuple[float, int, str]] = []
    started = time.perf_counter()
    numbers = range(options.first, options.first + options.count)
    with ThreadPoolExecutor(options.jobs) as pool:
        parts = list(
            pool.map(lambda share: _answers(options, share), [numbers[i :: options.jobs] for i in range(options.jobs)])
        )
    baseline = max(part[0] for part in parts)
    for number, answer in sorted((pair for part in parts for pair in part[1]), key=lambda pair: pair[0]):
        name = answer.get("name", "?")
        peak, seconds = answer.get("peak_mb", 0.0), answer.get("seconds", 0.0)
        outcome = answer["outcome"]
        if outcome in ("read", "refused") and (peak >= MEGABYTES or seconds >= SECONDS):
            outcome = "over the limits"
        if outcome not in ("read", "refused"):
            failures.append({"number": number, **answer, "outcome": outcome})
        outcomes[outcome] += 1
        by_kind.setdefault(name.split(" | ")[-1].removesuffix(" and flipped bytes"), Counter())[outcome] += 1
        for path, reason in answer.get("reasons", {}).items():
            reasons[path][re.sub(r"\d+", "N", reason)] += 1
        slowest = sorted([*slowest, (round(seconds, 3), number, name)], reverse=True)[:5]
        largest = sorted([*largest, (round(peak, 1), number, name)], reverse=True)[:5]
    return {
        "count": options.count,
        "seed": options.seed,
        "first": options.first,
        "photographs": options.data is not None,
        "seconds": round(time.perf_counter() - started, 1),
        "limits": {"seconds": SECONDS, "peak_mb": MEGABYTES},
        "outcomes": dict(outcomes.most_common()),
        "by_mutation": {kind: dict(counted.most_common()) for kind, counted in sorted(by_kind.items())},
        "reasons": {path: dict(counted.most_common()) for path, counted in reasons.items()},
        "baseline_mb": round(baseline, 1),
        "slowest": slowest,
        "largest_mb": largest,
        "failures": failures,
        "environment": environment(threads=1, seed=options.seed, smoke=options.smoke),
    }


def _answers(options: argparse.Namespace, numbers: Sequence[int]) -> tuple[float, list[tuple[int, dict[str, Any]]]]:
    answers = []
    with contextlib.closing(_Reader(options)) as reader:
        for done, number in enumerate(numbers, 1):
            answers.append((number, reader.read(number)))
            if done % 500 == 0:
                print(f"  {done} of {len(numbers)}", file=sys.stderr)
        return reader.baseline, answers


class _Reader(Answering):
    """A child process that reads files by their number, replaced when it dies or is too slow."""

    def __init__(self, options: argparse.Namespace) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--child", "--seed", str(options.seed)]
        if options.data is not None:
            command += ["--data", str(options.data)]
        elif options.smoke:
            command += ["--smoke"]
        self.baseline = 0.0
        super().__init__(command)

    def start(self) -> None:
        """Start a process, and wait until it can read."""
        super().start()
        ready = self.line(120)
        if not ready:
            raise RuntimeError(f"the reader did not start: {self.last_words()}")
        self.baseline = json.loads(ready)["peak_mb"]

    def read(self, number: int) -> dict[str, Any]:
        """Return what became of a file."""
        self.tell(str(number))
        line = self.line(4 * SECONDS)
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = None
        # A process whose answers have ended is perhaps not gone yet.
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.child.wait(2)
        outcome = "hang" if code is None else f"died ({code})"
        self.stop()
        words = self.last_words()
        self.start()
        return {"outcome": outcome, "stderr": words}


def _child(seed: int, data: Path | None) -> None:
    """Read the files whose numbers come on stdin; answer each with a line of JSON."""
    from cvbow.features import SIFT, DenseSIFT
    from cvbow.parallel import single_threaded

    seeds = seed_images(data)
    # Answers go where nothing else is printed.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder, single_threaded():
        target = Path(folder) / "image"
        work = [DenseSIFT(step=16), SIFT(max_points=200)]
        _features(seeds[0][1], work)
        target.write_bytes(seeds[0][1])
        _stats(target)
        print(json.dumps({"peak_mb": _peak()}), file=answers, flush=True)
        for line in sys.stdin:
            name, content = mutated(seeds, seed, int(line))
            target.write_bytes(content)
            del content
            _forget_peak()
            started = time.process_time()
            answer: dict[str, Any] = {"name": name}
            reasons: dict[str, str] = {}
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                try:
                    for path, call in (
                        ("features", lambda: _features(target.read_bytes(), work)),
                        ("stats", lambda: _stats(target)),
                    ):
                        reason = call()
                        if reason:
                            reasons[path] = reason
                    answer["outcome"] = "refused" if reasons else "read"
                except BaseException:
                    answer["outcome"], answer["traceback"] = "crash", traceback.format_exc()[-2000:]
            if warned:
                answer["outcome"], answer["warning"] = "warned", str(warned[0].message)[:300]
            answer |= {"reasons": reasons, "seconds": time.process_time() - started, "peak_mb": _peak()}
            print(json.dumps(answer), file=answers, flush=True)


def _features(content: bytes, work: Sequence[Any]) -> str | None:
    """Find and describe points as a command does; the reason where the file is refused."""
    from cvbow.errors import ImageError
    from cvbow.images import read_image

    try:
        image = read_image(content, gray=True)
    except ImageError as error:
        return error.reason
    for extractor in work:
        features = extractor.extract(image)
        if not (features.image_size == image.shape[::-1]):
            raise AssertionError("features of another size")
    return None


def _stats(path: Path) -> str | None:
    from cvbow.errors import DatasetError
    from cvbow.images import ImageList, summarize_images

    images = ImageList((path,), ("a",), (None,))
    try:
        summary = summarize_images(images, size=(64, 64))
    except DatasetError as error:
        return re.sub(r".*the first because (.*) \(.*\)$", r"\1", error.reason)
    summary.as_dict()
    return None


def _peak() -> float:
    """Return the largest resident size of this process since `_forget_peak`, in MB (10^6 bytes)."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    # Elsewhere than on Linux: the largest ever, which is no less.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


if __name__ == "__main__":
    sys.exit(main())
