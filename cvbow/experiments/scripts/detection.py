"""Detectors beside peers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table, duration, figure

RESULT = frozenset({"kangaroo", "bccd"})


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how precise the detectors are that ``benchmarks/detection.py`` compared, and what they took."""
    rows: list[tuple[str, ...]] = []
    for name, part in result.items():
        used = f"{part['n_train']:,}"
        used += f" of {part['n_train_of']:,}" if part["n_train"] != part["n_train_of"] else ""
        title = f"{name}: {used} images, {part['n_boxes']:,} boxes"
        for row in part["contenders"]:
            times = figure(row["train_over_cvbow"]) if "train_over_cvbow" in row else ""
            classes = ", ".join(f"{key} {value:.2f}" for key, value in row["per_class"].items())
            cells = (f"{row['ap50']:.3f}", f"{row['ap']:.3f}", classes)
            rows.append((title, row["label"], *cells, duration(row["train_seconds"]), times, figure(row["detect_ms"])))
            title = ""
    heads = ("data", "detector", "AP at 0.5", "AP", "classes at 0.5", "training", "over cvbow's", "ms an image")
    what = "Average precision as COCO defines it, on the test images; seconds of the processor, one thread"
    return {"figures": Table(heads, rows, what)}
