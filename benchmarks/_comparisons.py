"""The tables of comparisons: classical vectors, networks, and both under one classifier head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _format import caption, markdown

from cvbow.report import comparison_tables

__all__ = ["corruptions_table", "curve_table", "kth_comparison_table", "scene15_comparison_table"]


def scene15_comparison_table(results: Mapping[str, Any]) -> str:
    """Accuracy, tests and costs on 15-Scene; empty without the result."""
    return _table(results, "scene15-comparison", 0)


def kth_comparison_table(results: Mapping[str, Any]) -> str:
    """Accuracy, tests and costs on KTH-TIPS; empty without the result."""
    return _table(results, "kth-tips-comparison", 0)


def curve_table(results: Mapping[str, Any]) -> str:
    """Accuracy by the number of training images; empty without the result."""
    return _table(results, "scene15-robustness", 2)


def corruptions_table(results: Mapping[str, Any]) -> str:
    """Accuracy on test images made worse; empty without the result."""
    return _table(results, "scene15-robustness", 3)


def _table(results: Mapping[str, Any], name: str, which: int) -> str:
    """One of the tables that ``cvbow bench run`` prints."""
    result = results.get(name)
    if result is None:
        return ""
    title, (head, *rows) = comparison_tables(result)[which]
    smoke = " A smoke run, whose figures mean nothing." if result["quick"] else ""
    load = f"The machine had other work to do (load before the run {result['environment']['load_before']:.1f})."
    what = f"{result['title']}. {title}.{smoke} {load}"
    return f"{markdown(head, rows)}\n\n{what} {caption([result], f'cvbow bench run {name}')}"
