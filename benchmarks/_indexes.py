"""The tables of the section retrieval: what an index of many images takes, and what else could have answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _format import caption, figure, markdown, threads, time

__all__ = ["contenders_table", "growth_table"]

_COMMAND = "python benchmarks/speed.py retrieval"


def growth_table(results: Mapping[str, Any]) -> str:
    """Time, disk and memory of each kind of index at each size; empty without the section."""
    section = results.get("speed", {}).get("retrieval")
    if section is None:
        return ""
    rows = []
    for kind, part in section["kinds"].items():
        for size in part["sizes"]:
            memory = size["memory"]
            rows.append(
                [
                    kind,
                    f"{size['n_images']:,}",
                    time(size["build_seconds"]),
                    f"{figure(size['bytes'] / 1e6)} MB",
                    time(memory["open_seconds"] + memory["first_query_seconds"]),
                    "" if memory["own_mb"] is None else f"{figure(memory['own_mb'])} MB",
                    f"{figure(memory['peak_mb'])} MB",
                    f"{figure(size['contenders'][0]['ms_per_query'])} ms",
                ]
            )
            kind = ""
    header = ["index", "images", "adding", "on disk", "opening, first query", "own memory", "peak", "a query"]
    given = section["input"]
    describing = ", ".join(f"{kind} {figure(part['describe_ms'])} ms" for kind, part in section["kinds"].items())
    imports = section["kinds"]["exact"]["sizes"][0]["memory"]["imports_mb"]
    what = (
        f"{given['n_words']:,} words; {given['images']}, made into others; {threads(section)}. Adding is without "
        f"reading and describing an image ({describing}). Memory of a process that opens the index and searches, "
        f"{figure(imports)} MB of it Python and its libraries; the peak includes the mapped files."
    )
    return f"{markdown(header, rows)}\n\n{what} {caption([section], _COMMAND)}"


def contenders_table(results: Mapping[str, Any]) -> str:
    """The time of a query by each contender, at each size; empty without the section."""
    section = results.get("speed", {}).get("retrieval")
    if section is None:
        return ""
    rows = []
    for kind, part in section["kinds"].items():
        for size in part["sizes"]:
            if len(size["contenders"]) == 1:
                continue
            title = f"{kind}, {size['n_images']:,}"
            for row in size["contenders"]:
                note = f" (finds {100 * row['recall']:.0f} % of the ten best)" if "recall" in row else ""
                ratio = "" if "ratio" not in row else f"{figure(row['ratio'])} ({_range(row)})"
                rows.append([title, row["label"] + note, f"{figure(row['ms_per_query'])} ms", ratio])
                title = ""
    header = ["index, images", "contender", "a query", "time over cvbow's (range)"]
    notes = "".join(f" Left out: {text}." for text in section["left_out"])
    given = section["input"]
    what = f"{given['queries']} queries, the {given['k']} best of each; {threads(section)}.{notes}"
    return f"{markdown(header, rows)}\n\n{what} {caption([section], _COMMAND)}"


def _range(row: Mapping[str, Any]) -> str:
    low, high = map(figure, row["ratio_range"])
    return f"{low} to {high}"
