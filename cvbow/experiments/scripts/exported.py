"""Models as ONNX files, beside the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.experiments.scripts._peak import peak
from cvbow.tables import Table, figure, percent

#: Data sets and recipes whose models are exported.
SECTIONS = tuple(f"{data}-{preset}" for data in ("scene15", "flowers5") for preset in ("fast", "bow", "spm", "auto"))


RESULT = frozenset(SECTIONS)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what the ONNX files of ``benchmarks/exported.py`` answer, hold and take, beside their models."""
    rows, costs = [], []
    for name, part in result.items():
        title = name
        for variant, found in part["exported"].items():
            over = percent(found["over_thousandth"]) if "over_thousandth" in found else ""
            difference = f"{found['largest_difference']:.1e}"
            cells = (percent(found["equal_labels"]), difference, over, percent(found["accuracy"]))
            images = f"{found.get('n_images', part['n_test']):,}"
            rows.append((title, variant, images, *cells, figure(found["mb"]), f"{found['nodes']}", peak(found)))
            title = ""
        rows.append(("", "cvbow", "", "", "", "", percent(part["accuracy"]), figure(part["model_mb"]), "", ""))
        times = part["milliseconds"]
        costs += [
            (name if which == "cvbow" else "", which, figure(each["median"]), figure(each["over_cvbow"]))
            for which, each in times.items()
        ]
    shares = ("equal labels %", "largest difference", "over 1e-3 %", "accuracy %")
    heads = ("model", "file", "test images", *shares, "MB", "nodes", "peak MB")
    notes = (
        "The difference is that of probabilities, and the share that of images where it is over a thousandth; the peak "
        "is that of a process with the runtime."
    )
    return {
        "figures": Table(heads, rows, "What ONNX files of models answer, for the same pixels", notes),
        "times": Table(("model", "by", "ms an image", "over cvbow's"), costs, "Time an image, one thread, in turns"),
    }
