"""The memory of this process, for scripts that run in one of their own."""

from __future__ import annotations

import sys
from pathlib import Path


def memory() -> dict[str, float]:
    """Megabytes of this process: the peak of what is resident, and now, its own and the mapped files' apart."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        import resource

        unit = 1e6 if sys.platform == "darwin" else 1e3
        return {"VmHWM": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    found = dict(line.split(":", 1) for line in lines)
    return {key: int(found[key].split()[0]) * 1024 / 1e6 for key in ("VmHWM", "RssAnon", "RssFile") if key in found}
