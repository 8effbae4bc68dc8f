"""Linear classifiers of many vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table, duration, figure, percent

#: What is asked of linear classifiers of many vectors.
SECTIONS = ("solver", "file", "growth")


RESULT = frozenset(SECTIONS)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what ``benchmarks/many_vectors.py`` saw linear classifiers of many vectors take and decide."""
    shown = {"solver": _solved, "file": _from_file, "growth": _by_length}
    return {name: table(result[name]) for name, table in shown.items() if name in result}


def _solved(part: Mapping[str, Any]) -> Table:
    rows = []
    for setting in part["settings"]:
        title = "{:,} x {:,}".format(*setting["vectors"])
        for contender in setting["contenders"]:
            ratio = figure(contender["ratio"]) if "ratio" in contender else ""
            times = duration(contender["seconds"]), ratio
            rows.append((title, contender["label"], *times, *_agreement(setting, title)))
            title = ""
    heads = (
        "vectors",
        "solved by",
        "time",
        "over cvbow's",
        "equal labels %",
        "largest difference",
        "range of decisions",
    )
    return Table(heads, rows, "A linear SVM of many vectors, two ways in turns, and what both decide on test images")


def _from_file(part: Mapping[str, Any]) -> Table:
    rows = [
        (name, *(percent(found[f"accuracy_{place}"]) for place in ("memory", "file")), *_agreement(found, name))
        for name, found in part["classifiers"].items()
    ]
    heads = (
        "classifier",
        "from memory %",
        "from a file %",
        "equal labels %",
        "largest difference",
        "range of decisions",
    )
    n, d = part["vectors"]
    what = (
        f"{n:,} vectors of {d:,} values, in float32 in memory and in float16 in a file; {part['n_test']:,} test images"
    )
    return Table(heads, rows, what)


def _agreement(found: Mapping[str, Any], shown: str) -> tuple[str, ...]:
    """Return how far two sets of decisions are alike, where the row begins something."""
    if not shown:
        return "", "", ""
    return percent(found["equal_labels"]), f"{found['largest_difference']:.2g}", figure(found["range_of_decisions"])


def _by_length(part: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"{row['n']:,} x {row['d']:,}",
            figure(row["file_mb"]),
            duration(row["seconds"]),
            f"{row['steps']}",
            *(figure(row[key]) for key in ("own_peak_mb", "peak_mb")),
        )
        for row in part["rows"]
    ]
    heads = ("vectors", "file, MB", "time", "steps", "own peak, MB", "peak with the mapped file, MB")
    what = (
        f"A linear SVM of jittered copies of {part['images']:,} images' vectors, in a file of float16; an image's "
        "copies have the weight of one"
    )
    return Table(heads, rows, what)
