"""A process of its own that opens an index and answers queries, to see what memory that takes.

    python -m sections._opened_index INDEX QUERIES.npz

prints JSON. ``QUERIES.npz`` has the arrays of query i as ``i/<name>``.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from cvbow.index import ImageIndex
from cvbow.parallel import single_threaded
from sections._memory import memory


def main() -> None:
    """Open, search, tell."""
    path, queries_file = sys.argv[1:]
    with np.load(queries_file) as file:
        loaded = {name: file[name] for name in file.files}
    numbers = sorted({int(name.split("/")[0]) for name in loaded})
    queries = [
        {name.split("/")[1]: array for name, array in loaded.items() if name.startswith(f"{number}/")}
        for number in numbers
    ]
    with single_threaded():
        pass  # loads what will be loaded
    before = memory()
    started = time.perf_counter()
    with ImageIndex.open(path) as index:
        opened = time.perf_counter()
        index.search_described(queries[0])
        first = time.perf_counter()
        for query in queries[1:]:
            index.search_described(query)
        after = memory()
    record = {
        "open_seconds": opened - started,
        "first_query_seconds": first - opened,
        "imports_mb": before["VmHWM"],
        "peak_mb": after["VmHWM"],
        "own_mb": after.get("RssAnon"),
        "mapped_mb": after.get("RssFile"),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
