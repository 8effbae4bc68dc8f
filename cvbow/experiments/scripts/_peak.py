"""The peak of a process's memory, as tables show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import figure


def peak(found: Mapping[str, Any], unit: str = "") -> str:
    """Return the megabytes of ``peak_mb``; nothing where there was no telling."""
    return "" if found["peak_mb"] is None else f"{figure(found['peak_mb'])}{unit}"
