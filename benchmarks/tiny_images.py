"""Learning from as many tiny images as CIFAR-10 has: minutes and memory, and what of them is the classifier's.

    python benchmarks/tiny_images.py [N ...] [--test N] [--data DIR] [--n-jobs N] [--json FILE]
    python benchmarks/tiny_images.py --smoke

The images stand in for the 50,000 and 10,000 of CIFAR-10: those of `cifar10_small`, each several times over, moved by
up to three pixels and at another contrast. So they cost what the real ones do, while a figure of accuracy tells what
can be told from a fifth of the pictures: copies of a test image stand together. For each number of training images a
process of its own learns the recipe `patches` from them and answers for the test images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import ROOT, environment, merge_sections, peak_memory, rounded, shared_data
from numpy.typing import NDArray

from cvbow import list_images, make_model, read_image
from cvbow.experiments.scripts.tiny_images import SECTIONS

RESULTS = ROOT / "benchmarks" / "results" / "tiny-images.json"
#: Training images of the smoke run.
FEW = (40,)
#: How far an image is moved, in pixels, and the range of the factors of its contrast.
_MOVED, _CONTRAST = 3, (0.8, 1.2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Learn and answer, at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, metavar="N", help="training images (default: 10000 50000)")
    parser.add_argument("--test", type=int, default=10_000, metavar="N", help="test images (default %(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="has train/ and test/ (default: cifar10_small)")
    parser.add_argument("--n-jobs", type=int, default=-1, help="workers (default: one per core)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default benchmarks/results/tiny-images.json")
    parser.add_argument("--smoke", action="store_true", help="seconds, on images made here; writes no file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.data is None and not options.smoke:
        shared = shared_data()
        if shared is None:
            parser.error("--data must name a folder that has train/ and test/")
        options.data = shared / "cifar10_small"
    sizes = options.sizes or (FEW if options.smoke else SECTIONS.values())
    if options.one:
        print(json.dumps(_learned(sizes[0], options)))
        return 0
    target = options.json or (None if options.smoke else RESULTS)
    for size in sizes:
        command = [sys.executable, __file__, str(size), "--one", "--test", str(options.test)]
        command += ["--n-jobs", str(options.n_jobs)]
        command += ["--smoke"] if options.smoke else ["--data", str(options.data)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout)
        print(json.dumps({key: value for key, value in result.items() if key != "environment"}, indent=1))
        if target is not None:
            merge_sections(target, {f"tiny-images-{size}": result}, order=list(SECTIONS))
            print(f"written to {target}", file=sys.stderr)
    return 0


def _learned(size: int, options: argparse.Namespace) -> dict[str, Any]:
    n_test = 20 if options.smoke else options.test
    surroundings = environment(threads=options.n_jobs, seed=0, smoke=options.smoke)
    (train, labels), (test, wanted) = (
        _made(n, None if options.smoke else options.data / part, seed)
        for seed, (part, n) in enumerate({"train": size, "test": n_test}.items())
    )
    settings = {"n_words": 16, "sample": 5000, "max_iter": 2} if options.smoke else {}
    model = make_model("patches", settings=settings, n_jobs=options.n_jobs)
    model.set_params(classifier=_watched(model.classifier))
    model.fit(train, labels)
    peaks = model.classifier_.peaks_
    started = time.perf_counter()
    answers = model.predict(test)
    answered = time.perf_counter() - started
    n_values = model.backend_.vector_length
    return {
        "environment": surroundings,
        "n_train": size,
        "n_test": n_test,
        "n_pictures": _n_pictures(options, "train"),
        "n_words": model.backend_.n_words,
        "n_values": n_values,
        "vectors_mb": rounded(4e-6 * size * n_values),
        "seconds": {step: rounded(seconds) for step, seconds in (model.seconds_ or {}).items()},
        "peak_mb": {step: None if peak is None else rounded(peak / 1e6) for step, peak in peaks.items()},
        "test_ms": rounded(1e3 * answered / n_test),
        "accuracy": rounded(float((answers == np.array(wanted)).mean())),
    }


def _watched(classifier: Any) -> Any:
    """Return an unfitted classifier that notes the peaks of memory before and while it learns, as ``peaks_``."""

    class Watched(type(classifier)):  # type: ignore[misc]
        def fit(self, *arguments: Any, **named: Any) -> Any:
            before = peak_memory()
            _forget_peak()
            super().fit(*arguments, **named)
            self.peaks_ = {"before the classifier": before, "of the classifier": peak_memory()}
            return self

    return Watched(**classifier.get_params(deep=False))


def _forget_peak() -> None:
    """Let the peak of this process's memory begin anew, where the system can."""
    request = Path("/proc/self/clear_refs")
    if request.exists():
        request.write_text("5")


def _n_pictures(options: argparse.Namespace, part: str) -> int | None:
    return None if options.smoke else len(list_images(str(options.data / part)))


def _made(n: int, folder: Path | None, seed: int) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Return so many images and their labels, made of those of a folder, or without one of noise."""
    random = np.random.default_rng(seed)
    if folder is None:
        pictures = [random.integers(0, 256, (4, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(4)]
        pictures += [random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(4)]
        names = ["coarse"] * 4 + ["fine"] * 4
    else:
        listed = list_images(str(folder))
        pictures, names = [read_image(path) for path in listed.paths], list(listed.labels)
    # Every picture once before any comes again; those of a part, where there are fewer images, spread over the classes.
    order = [int(row) for _ in range(-(-n // len(pictures))) for row in random.permutation(len(pictures))][:n]
    return [_changed(pictures[row], random) for row in order], [names[row] for row in order]


def _changed(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture moved a little, its border mirrored, at another contrast."""
    height, width = picture.shape[:2]
    top, left = random.integers(0, 2 * _MOVED + 1, 2)
    wide = np.pad(picture, ((_MOVED, _MOVED), (_MOVED, _MOVED), (0, 0)), mode="reflect")
    moved = wide[top : top + height, left : left + width].astype(np.float32)
    mean = moved.mean()
    return np.clip(mean + random.uniform(*_CONTRAST) * (moved - mean), 0, 255).round().astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
