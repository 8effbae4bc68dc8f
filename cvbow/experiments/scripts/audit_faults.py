"""Planted faults that an audit found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.experiments.scripts._peak import peak
from cvbow.tables import Table, duration, percent

#: The trials of planted faults.
SECTIONS = tuple(f"{data}-{trial}" for data in ("scene15", "flowers5") for trial in ("faults", "similar", "shortcuts"))


RESULT = frozenset(SECTIONS)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what was found of the faults that ``benchmarks/audit_faults.py`` planted, and the shortcuts' places."""
    rows, places = [], []
    for name, trial in result.items():
        ours = trial["cvbow"]
        title = f"{name}: {trial['n_train'] + trial['n_test']:,} images"
        contenders = {"cvbow audit": ours, "cleanlab": trial.get("cleanlab"), "CleanVision": trial.get("cleanvision")}
        for kind in ("label", "leak", "stranger", "picture"):
            for contender, found in contenders.items():
                if found is not None and kind in found:
                    rows.append((title, kind, contender, *_found_cells(found[kind])))
                    title = ""
        places += [
            (name, f"{what}: {place['class']}", *(str(place.get(key) or "") for key in ("place", "score", "why")))
            for what, place in ours.get("shortcut", {}).items()
        ]
    heads = ("data", "finding", "by", "planted", "listed", "precision %", "recall %", "area under the curve")
    costs = ", ".join(
        " and ".join(filter(None, (f"{name} {duration(trial['cvbow']['seconds'])}", peak(trial["cvbow"], " MB"))))
        for name, trial in result.items()
    )
    versions = {
        text: None
        for trial in result.values()
        for peer in ("cleanlab", "cleanvision")
        for text in [f"{peer} {trial.get(peer, {}).get('versions', {}).get(peer)}"]
        if peer in trial
    }
    what = (
        "What was found of faults that were planted. The area is over all images; of strangers and pictures, those "
        "that the audit does not list count as level"
    )
    notes = f"Time and peak memory of `cvbow audit`: {costs}." + f" Beside {', '.join(versions)}." * bool(versions)
    return {
        "figures": Table(heads, rows, what, notes),
        "shortcuts": Table(("data", "shortcut", "place", "score", "what is said"), places),
    }


def _found_cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the figures of one kind of finding; the area is that over all images where all have a score."""
    shares = ("" if found[key] is None else percent(found[key]) for key in ("precision", "recall"))
    area = found.get("auroc_of_all", found.get("auroc"))
    return str(found["planted"]), str(found["listed"]), *shares, "" if area is None else f"{area:.3f}"
