"""A peer that labels pixels."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table, figure, percent

RESULT = frozenset({"contender"})


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how well the masks of ``benchmarks/peers/skimage_segmentation.py`` fit, by what was learned from."""
    rows = []
    for trial in result["trials"]:
        draws = trial["draws"]
        shares = [[draw["iou"][value] for draw in draws] for value in draws[0]["iou"]]
        shares.append([draw["pixel_accuracy"] for draw in draws])
        times = (figure(statistics.median(draw[key] for draw in draws)) for key in ("seconds", "ms"))
        rows.append((trial["name"], *(percent(statistics.fmean(each)) for each in shares), *times))
    values = result["trials"][0]["draws"][0]["iou"]
    heads = ("learned from", *(f"IoU of {value}, %" for value in values), "accuracy, %", "s", "ms")
    return {"figures": Table(heads, rows, f"{result['contender']}, on {result['n_test']} test images")}
