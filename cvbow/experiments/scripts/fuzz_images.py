"""Damaged files, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table

RESULT = frozenset({"by_mutation"})


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what ``benchmarks/fuzz_images.py`` saw become of damaged files, by what was done to them."""
    outcomes = list(result["outcomes"])
    by = {**result["by_mutation"], "all": result["outcomes"]}
    rows = [(damage, *(f"{counts.get(outcome, 0):,}" for outcome in outcomes)) for damage, counts in by.items()]
    what = f"{result['count']:,} damaged files, by what was done to them; {len(result['failures'])} failures"
    notes = (
        f"The slowest took {result['slowest'][0][0]:.1f} s of {result['limits']['seconds']:g} s allowed, the largest "
        f"{result['largest_mb'][0][0]:.0f} MB of {result['limits']['peak_mb']:g} MB."
    )
    return {"figures": Table(("damage", *outcomes), rows, what, notes)}
