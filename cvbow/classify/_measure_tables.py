"""What the tables of measures share: short names, shares, confusions, and what a model knows of its answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.tables import Table

#: With more classes than this a confusion matrix does not fit a terminal; the worst confusions are listed instead.
MATRIX_LIMIT = 20
#: Confusions that are listed.
_WORST = 20


def short(name: str, limit: int = 24) -> str:
    """Return a name that fits a column."""
    return name if len(name) <= limit else name[: limit - 1] + "…"


def share_cells(values: NDArray[np.floating]) -> list[str]:
    """Return shares of 1, and a dash for what is not a number."""
    return ["-" if np.isnan(value) else f"{value:.3f}" for value in values]


def knowledge(calibration_error: float, coverage: float | None, mean_set_size: float | None) -> list[tuple[str, str]]:
    """Return how well a model knows how sure to be."""
    rows = [("calibration error", f"{calibration_error:.4f}")]
    if coverage is not None:
        rows.append(("in sets of 95 %", f"{coverage:.4f} of the images; {mean_set_size:.2f} labels on average"))
    return rows


def confusions(confusion: NDArray[np.integer], classes: Sequence[str]) -> Table:
    """Return the confusion matrix, or the worst confusions where it is too large."""
    names = [short(name) for name in classes]
    if len(names) > MATRIX_LIMIT:
        return _worst(confusion, names)
    cells = [[str(count) if count else "" for count in row] for row in confusion]
    what = "confusion: a row per true class, a column per answer"
    if max(map(len, names)) <= max(3, len(str(confusion.max()))):
        return Table(("", *names), [(name, *row) for name, row in zip(names, cells, strict=True)], what)
    numbers = [str(number) for number in range(1, len(names) + 1)]
    rows = [(name, number, *row) for name, number, row in zip(names, numbers, cells, strict=True)]
    return Table(("", "", *numbers), rows, f"{what}, numbered in the same order")


def _worst(confusion: NDArray[np.integer], names: list[str]) -> Table:
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:_WORST]
    found = [(int(off[at]), *at) for at in zip(*np.unravel_index(order, off.shape), strict=True) if off[at]]
    rows = [(str(count), names[truth], names[answer]) for count, truth, answer in found]
    return Table(("images", "true class", "answer"), rows, "most frequent confusions")
