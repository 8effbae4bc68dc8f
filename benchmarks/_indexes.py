"""The tables of retrieval: what is found, what an index of many images takes, and what else could have answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _format import caption, figure, markdown, threads, time

__all__ = ["contenders_table", "covers_table", "duplicates_table", "growth_table"]

_COMMAND = "python benchmarks/speed.py retrieval"


def covers_table(results: Mapping[str, Any]) -> str:
    """What is found of the DVD covers, by words and vectors, and what that costs; empty without the result."""
    found = [results[name] for name in ("dvd-covers-networks", "dvd-covers") if name in results]
    if "dvd-covers" not in results:
        return ""
    rows = []
    for result in found:
        for variant in result["variants"]:
            cost = variant["cost"]
            shares = [variant["recall"]["1"], variant["recall"]["10"], variant["map"]]
            costs = [cost["index_ms_per_image"], cost["search_ms_per_query"], cost["index_bytes_per_image"] / 1e3]
            name = f"{variant['name']} (a smoke run)" if result["quick"] else variant["name"]
            rows.append([name, *(f"{100 * share:.1f}" for share in shares), *map(figure, costs)])
    header = ["index", "recall@1 %", "recall@10 %", "mAP %", "adding: ms an image", "query: ms", "kB an image"]
    one = found[-1]["variants"][0]
    workers = found[-1]["environment"]["workers"]
    loads = [result["environment"]["load_before"] for result in found]
    what = (
        f"{one['n_queries']} photographs by four cameras against {one['n_images']:,} images: the covers and all of "
        f"15-Scene, on which alone everything was learned. Wall time with {workers} workers, reading "
        f"and describing included, and of a query the ranking of all images (load before a run {min(loads):.1f} to "
        f"{max(loads):.1f})."
    )
    return f"{markdown(header, rows)}\n\n{what} {caption(found, 'cvbow bench run dvd-covers')}"


def duplicates_table(results: Mapping[str, Any]) -> str:
    """How many copies are found, by kind, and how many pairs are wrong; empty without the result."""
    result = results.get("near-duplicates")
    if result is None:
        return ""
    kinds = list(result["recall_by_kind"])
    contenders = {"cvbow index duplicates": result}
    contenders |= {f"PHash, {name}": one for name, one in result["perceptual_hash"].items() if name != "seconds"}
    rows = []
    for name, found in contenders.items():
        shares = [found["recall"], *(found["recall_by_kind"][kind] for kind in kinds), found["precision"]]
        cells = ["" if share is None else f"{100 * share:.1f}" for share in shares]
        rows.append([name, *cells, str(found["pairs_with_a_copy"])])
    header = ["by", "recall %", *kinds, "precision %", "pairs with a copy"]
    what = (
        f"{result['copies']} copies among {result['images']:,} images; recall of copies, precision of pairs that have "
        "a copy in them."
    )
    return f"{markdown(header, rows)}\n\n{what} {caption([result], 'python benchmarks/near_duplicates.py')}"


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
