"""A comparison of backends as pictures: accuracy against cost, learning curves, corruptions. Needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cvbow.images.corruptions import CORRUPTIONS, STRENGTHS
from cvbow.storage import GENERATOR, replacing

#: Files of a comparison: what accuracy costs, and, where the comparison has them, its learning curve and corruptions.
PLOTS = ("accuracy-cost.png", "learning-curve.png", "corruptions.png")

#: Colours and marks that can be told apart without seeing colours (M. Okabe and K. Ito).
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
#: Room above 100 %, as a share of the axis below: a mark's half and its edge.
_ROOM = 0.03


def write_comparison_plots(folder: str | os.PathLike[str], result: Mapping[str, Any]) -> list[Path]:
    """Write the pictures of a comparison as PNG files.

    Parameters
    ----------
    folder : path
        It is made where it does not exist.
    result : mapping
        Of ``cvbow.experiments.compare``.

    Returns
    -------
    list of Path
        ``accuracy-cost.png``; ``learning-curve.png`` and ``corruptions.png`` where the comparison has them.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need the extra: pip install 'cvbow[report]'") from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = result["contenders"]
    small: dict[str, Any] = {"figsize": (7, 4.5), "dpi": 120, "layout": "constrained"}
    drawn = {}
    if any(row["cost"]["ms_per_image"] is not None for row in rows):
        drawn[PLOTS[0]] = figure = Figure(**small)
        _cost(figure.subplots(), rows)
    if any("curve" in row for row in rows):
        drawn[PLOTS[1]] = figure = Figure(**small)
        axes = figure.subplots()
        _curve(axes, rows)
        _legend(figure, axes)
    if any("corruptions" in row for row in rows):
        drawn[PLOTS[2]] = figure = Figure(**small | {"figsize": (11, 6)})
        grid = figure.subplots(2, -(-len(CORRUPTIONS) // 2), sharey=True).ravel()
        _corruptions(grid, rows)
        _legend(figure, grid[0])
    for name, figure in drawn.items():
        with replacing(folder / name) as file:
            figure.savefig(file, format="png", metadata={"Software": GENERATOR})
    return [folder / name for name in drawn]


def _look(place: int) -> dict[str, Any]:
    return {"color": _COLORS[place % len(_COLORS)], "marker": _MARKS[place % len(_MARKS)], "markersize": 6}


def _cost(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    rows = [row for row in rows if row["cost"]["ms_per_image"] is not None]
    for place, row in enumerate(rows):
        cost, figure = row["cost"]["ms_per_image"], 100 * row["mean_class_accuracy"]["mean"]
        interval, spread = row["interval"], row["mean_class_accuracy"]["std"]
        bounds = None
        if interval is not None:
            bounds = [[figure - 100 * interval["low"]], [100 * interval["high"] - figure]]
        elif spread is not None:
            bounds = [[100 * spread], [100 * spread]]
        axes.errorbar([cost], [figure], yerr=bounds, linestyle="", capsize=3, label=row["name"], **_look(place))
    costs = [row["cost"]["ms_per_image"] for row in rows]
    low, high = 0.8 * min(costs), 1.25 * max(costs)
    bars = ""
    if any(row["interval"] is not None for row in rows):
        bars = "with 95 % interval"
    elif any(row["mean_class_accuracy"]["std"] is not None for row in rows):
        bars = "± standard deviation over splits"
    _scale(axes, round_ticks(low, high) or [min(costs)], "milliseconds of processor time an image", bars)
    axes.set_xlim(low, high)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def round_ticks(low: float, high: float) -> list[float]:
    """Return ones, twos and fives between two numbers, for a logarithmic scale with plain numbers."""
    ticks = [step * 10.0**decade for decade in range(-3, 7) for step in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def _curve(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for place, row in enumerate(rows):
        counts = [point["train_per_class"] for point in row["curve"]]
        means = [100 * point["mean"] for point in row["curve"]]
        # One draw has no spread to show; NaN leaves its bar out.
        spreads = [np.nan if point["std"] is None else 100 * point["std"] for point in row["curve"]]
        axes.errorbar(counts, means, yerr=spreads, capsize=3, label=row["name"], **_look(place))
    has_spread = any(point["std"] is not None for row in rows for point in row["curve"])
    bars = "± standard deviation over draws" if has_spread else ""
    _scale(axes, [point["train_per_class"] for point in rows[0]["curve"]], "training images per class", bars)


def _scale(axes: Any, ticks: Sequence[float], what: str, bars: str) -> None:
    """Let accuracy, and what its bars are, stand over a logarithmic scale with these ticks."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(what)
    # On one line the text would be longer than the axis.
    axes.set_ylabel("\n".join(("mean class accuracy, %", bars)).strip())
    axes.grid(alpha=0.3)
    _to_hundred(axes)


def _to_hundred(axes: Any) -> None:
    """End an axis of percentages at 100, but for the room that a mark there needs."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, 100 + _ROOM * (100 - low)))
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= 100])


def _corruptions(grid: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> None:
    for axes, (kind, corruption) in zip(grid, CORRUPTIONS.items(), strict=False):
        for place, row in enumerate(rows):
            found = row["corruptions"]
            figures = 100 * np.array([found["clean"], *found["kinds"][kind]])
            axes.plot([0, *STRENGTHS], figures, label=row["name"], **_look(place))
        axes.set_title(kind)
        axes.set_xlabel(corruption.unit, fontsize=8)
        axes.set_xticks([0, *STRENGTHS], ["clean", *map(str, corruption.amounts)], rotation=45, ha="right", fontsize=8)
        axes.grid(alpha=0.3)
    _to_hundred(grid[0])
    for axes in grid[:: len(grid) // 2]:
        axes.set_ylabel("mean class accuracy, %")


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False)
