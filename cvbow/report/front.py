"""The front of a search for recipes as a picture: error against time, size by colour. Needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from cvbow.report.comparison_plots import round_ticks
from cvbow.storage import GENERATOR, replacing
from cvbow.tuning import Tuning

#: Half of a mark, and the width and height of a digit, in points.
_MARK, _LETTER = 5.0, (5.5, 7.0)


def write_front_plot(path: str | os.PathLike[str], tuning: Tuning) -> None:
    """Write the front, numbered as in its table, among all recipes that were tried to the end, as a PNG file.

    Parameters
    ----------
    path : path
    tuning : Tuning

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.colors import LogNorm
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need the extra: pip install 'cvbow[report]'") from error
    drawn = Figure(figsize=(7.5, 4.8), dpi=120, layout="constrained")
    axes = drawn.subplots()
    others = [one for one in tuning.outcomes if not one.stopped and one not in tuning.front]
    axes.scatter(
        [one.milliseconds for one in others],
        [100 * one.error for one in others],
        s=14,
        color="#999999",
        label="others that were tried",
    )
    times = [one.milliseconds for one in tuning.front]
    sizes = np.array([max(one.megabytes, 1e-6) for one in tuning.front])
    percents = [100 * one.error for one in tuning.front]
    spreads = [100 * one.spread for one in tuning.front]
    axes.errorbar(times, percents, spreads, fmt="none", ecolor="#bbbbbb", capsize=2, zorder=1)
    norm = LogNorm(sizes.min(), sizes.max()) if sizes.max() > sizes.min() else None
    points = axes.scatter(
        times, percents, c=sizes, norm=norm, s=70, cmap="viridis", edgecolor="black", zorder=3, label="front"
    )
    every = [*times, *(one.milliseconds for one in others)]
    axes.set_xscale("log")
    axes.set_xlim(0.8 * min(every), 1.25 * max(every))
    ticks = round_ticks(*axes.get_xlim()) or [min(every)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("milliseconds an image, counted for one thread")
    axes.set_ylabel("error by cross-validation, % ± standard error")
    axes.grid(alpha=0.3)
    drawn.legend(frameon=False, loc="outside upper left", ncols=2)
    drawn.colorbar(points, label="megabytes of the model", format="%g")
    drawn.draw_without_rendering()  # where everything is, so that numbers keep clear of it
    _number(axes, times, percents)
    with replacing(path) as file:
        drawn.savefig(file, format="png", metadata={"Software": GENERATOR})


def _number(axes: Any, times: Sequence[float], percents: Sequence[float]) -> None:
    """Write the number of each recipe beside its mark, where no other mark or number is."""
    marks = axes.transData.transform(np.column_stack([times, percents])) * 72 / axes.figure.dpi
    taken = [(*mark - _MARK, *mark + _MARK) for mark in marks]
    for number, (mark, place) in enumerate(zip(marks, zip(times, percents, strict=True), strict=True), 1):
        width = _LETTER[0] * len(str(number))
        boxes = []
        for away in (0, 6, 12, 18):
            for x, y in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
                corner = mark + (_MARK + away) * np.array([x, y]) - np.array([width * (x < 0), _LETTER[1] * (y < 0)])
                boxes.append((*corner, corner[0] + width, corner[1] + _LETTER[1]))
        free = (box for box in boxes if not any(_overlap(box, other) for other in taken))
        box = next(free, boxes[0])
        taken.append(box)
        axes.annotate(str(number), place, xytext=np.array(box[:2]) - mark, textcoords="offset points", fontsize=8)


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])
