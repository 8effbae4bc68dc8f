"""Near-duplicates that were found among copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table, percent

RESULT = frozenset({"perceptual_hash"})


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return how many copies ``benchmarks/near_duplicates.py`` saw found, by kind, and how many pairs were wrong."""
    kinds = list(result["recall_by_kind"])
    contenders = {"cvbow index duplicates": result}
    contenders |= {f"PHash, {name}": one for name, one in result["perceptual_hash"].items() if name != "seconds"}
    rows = []
    for name, found in contenders.items():
        shares = [found["recall"], *(found["recall_by_kind"][kind] for kind in kinds), found["precision"]]
        rows.append((name, *map(percent, shares), str(found["pairs_with_a_copy"])))
    heads = ("by", "recall %", *kinds, "precision %", "pairs with a copy")
    what = f"{result['copies']} copies among {result['images']:,} images"
    notes = "Recall of copies, precision of pairs that have a copy in them."
    return {"figures": Table(heads, rows, what, notes)}
