"""What a result depends on besides the definition: versions, the machine, the commit; and the memory that it took."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvbow.parallel import effective_jobs

_ROOT = Path(__file__).resolve().parents[2]
#: Key of ``versions`` in an environment, and how the software writes its name.
_SOFTWARE = {
    "cvbow": "cvbow",
    "python": "Python",
    "numpy": "NumPy",
    "opencv": "OpenCV",
    "scikit-learn": "scikit-learn",
    "scikit-image": "scikit-image",
    "faiss": "FAISS",
    "vlfeat": "VLFeat",
    "keras": "Keras",
    "onnxruntime": "ONNX Runtime",
}


def environment(*, n_jobs: int | None) -> dict[str, Any]:
    """Return plain values, for JSON; ``n_jobs`` is what the workers are told of."""
    import cv2

    from cvbow import __version__

    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": checkout_commit(),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "workers": effective_jobs(n_jobs),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": {
            "python": platform.python_version(),
            "cvbow": __version__,
            "opencv": cv2.__version__,
            **_installed("numpy", "scipy", "scikit-learn", "onnxruntime", "torch", "faiss-cpu"),
        },
    }


def machine(environments: Sequence[Mapping[str, Any]]) -> str:
    """Return what results were measured with, a sentence for each that differs."""
    sentences = []
    for place in environments:
        versions = ", ".join(
            f"{name} {place['versions'][key]}" for key, name in _SOFTWARE.items() if place["versions"].get(key)
        )
        smoke = "A smoke run, whose figures are not meaningful: " if place.get("smoke") else ""
        sentences.append(f"{smoke}{place['cpu']}, {place['cores']} cores; {versions}.")
    return " ".join(dict.fromkeys(sentences))


def _installed(*distributions: str) -> dict[str, str]:
    """Return the versions of those libraries that are installed."""
    found = {}
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def processor() -> str:
    """Return the processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def checkout_commit() -> str | None:
    """Return the checkout's commit, with "-dirty" where the code differs from it; None outside of a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(_ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Inside of somebody else's checkout, site-packages has that one's commit, not its own.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != _ROOT:
            return None
        commit = git("rev-parse", "HEAD")
        # Results that were just written change no figure.
        code = ("cvbow", "cli", "data", "benchmarks", ":(exclude)benchmarks/results")
        changed = git("status", "--porcelain", "--", *code)
        return f"{commit}-dirty" if changed else commit
    except (OSError, subprocess.CalledProcessError):
        return None


@dataclass
class PeakMemory:
    """The most memory that this process took in a block, None where the system does not tell; and what it is."""

    n_bytes: int | None = None
    what: str = "not measured on this system"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"peak_bytes": self.n_bytes, "what": self.what}


@contextlib.contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Measure the peak of this process's resident memory inside the block; workers in other processes do not count."""
    peak = PeakMemory()
    reset = _reset_peak()
    yield peak
    if reset:
        peak.n_bytes = _status("VmHWM")
        peak.what = "peak resident memory of the process while the benchmark ran, workers in other processes left out"
    elif sys.platform != "win32":
        import resource

        # Kilobytes, but bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        peak.n_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        peak.what = "peak resident memory of the process since its start, workers in other processes left out"


def _reset_peak() -> bool:
    """Let Linux count the peak from here on; whether it does."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    peak, now = _status("VmHWM"), _status("VmRSS")
    # Somewhat more may have been touched between the two; a peak that was not reset is larger by far, or the same.
    return peak is not None and now is not None and peak <= now + (16 << 20)


def _status(key: str) -> int | None:
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
