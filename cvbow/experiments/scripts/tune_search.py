"""Searches for recipes, in the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbow.tables import Table, figure, percent

RESULT = "cvbow-tune-search"


_SEARCHES = {"nsga2": "NSGA-II", "tpe": "TPE", "random": "at random"}


_TAKEN = {"best": "the most accurate", "as good": "the fastest that is as good as auto"}


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Return what the searches that ``benchmarks/tune_search.py`` ran found in the same time, beside ``auto``."""
    heads = ("search", "recipes (stopped)", "taken", "error %, held out", "test accuracy %", "ms an image", "model MB")
    rows: list[tuple[str, ...]] = [("auto", "", "", *_tuned(result["auto"]))]
    for search in result["searches"]:
        title = (_SEARCHES[search["sampler"]], f"{search['n_evaluated']} ({search['n_stopped']})")
        for name, one in search["chosen"].items():
            rows.append((*title, _TAKEN[name], *_tuned(one)))
            title = ("", "")
    what = (
        f"{result['dataset']}: {result['n_train']} training and {result['n_test']} test images, "
        f"{result['minutes']:g} minutes each, all at the same time"
    )
    notes = (
        "Errors are mean class errors by cross-validation on the training images, ± standard errors; milliseconds are "
        "the processor's on one thread, as measured. The test images chose nothing."
    )
    return {"figures": Table(heads, rows, what, notes)}


def _tuned(one: Mapping[str, Any]) -> tuple[str, ...]:
    error, test = percent(one["error"], one["spread"]), percent(one["test_mean_class_accuracy"])
    return error, test, figure(one["measured"]), figure(one["model_bytes"] / 1e6)
