"""Training on a cluster, beside threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table

#: What the work of training runs on.
SECTIONS = ("threads", "dask")


RESULT = frozenset(SECTIONS)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what training took with threads and on a cluster of which a worker was killed."""
    rows = []
    for name, part in result.items():
        workers = [worker["peak_mb"] for worker in part["workers"] or ()]
        held = "" if None in workers or not workers else f"{max(workers):,.0f} MB of {part['limit_mb']:,} MB"
        rows.append(
            (
                {"threads": "two threads", "dask": "two workers of Dask, one killed"}[name],
                *(f"{part['seconds'][step]:,.0f} s" for step in ("encode", "classifier", "total")),
                *("" if part[key] is None else f"{part[key]:,.0f} MB" for key in ("peak_mb", "without_files_mb")),
                held,
                part["content_hash"][:12],
            )
        )
    one = next(iter(result.values()))
    what = (
        f"Training on {one['n_images']:,} images ({one['n_files']:,} of 15-Scene, listed again and again), "
        f"`{one['recipe']['preset']}`, vectors of {one['vector_length']:,} values in a file"
    )
    heads = ("executor", "encode", "classifier", "total", "peak", "of it none of a file", "a worker's peak", "hash")
    return {"figures": Table(heads, rows, what)}
