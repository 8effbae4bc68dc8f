"""Learning from many tiny images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table, duration, figure, percent

#: How many tiny images are learned from, by the name of the section.
SECTIONS = {f"tiny-images-{n}": n for n in (10_000, 50_000)}


RESULT = frozenset(SECTIONS)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return the time and the memory that ``benchmarks/tiny_images.py`` saw tiny images take, by their number."""
    rows = []
    for part in result.values():
        seconds = part["seconds"]
        times = (
            seconds["extract"] + seconds["dictionary"],
            *(seconds[key] for key in ("encode", "classifier", "total")),
        )
        peaks = ("" if peak is None else figure(peak) for peak in part["peak_mb"].values())
        judged = figure(part["test_ms"]), percent(part["accuracy"])
        rows.append((f"{part['n_train']:,}", *map(duration, times), figure(part["vectors_mb"]), *peaks, *judged))
    heads = [
        *("images", "words", "encoding", "classifier", "in all", "vectors, MB"),
        *(f"peak {step}, MB" for step in part["peak_mb"]),
        *("ms a test image", "accuracy %"),
    ]
    what = f"Learning `patches`, {part['n_words']:,} words, vectors of {part['n_values']:,} values"
    notes = f"Images made of {part['n_pictures']:,} pictures." if part["n_pictures"] else ""
    return {"figures": Table(heads, rows, what, notes)}
