"""The front of a search for recipes as a picture: error against time, size by colour. Needs matplotlib."""

from __future__ import annotations

import os

import numpy as np

from cvbow.report.comparison_plots import round_ticks
from cvbow.storage import GENERATOR, replacing
from cvbow.tuning import Tuning


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
    for number, place in enumerate(zip(times, percents, strict=True), 1):
        axes.annotate(str(number), place, xytext=(5, 5), textcoords="offset points", fontsize=8)
    every = [*times, *(one.milliseconds for one in others)]
    axes.set_xscale("log")
    axes.set_xlim(0.8 * min(every), 1.25 * max(every))
    ticks = round_ticks(*axes.get_xlim()) or [min(every)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("milliseconds an image, counted for one thread")
    axes.set_ylabel("error by cross-validation, % ± standard error")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper right")
    drawn.colorbar(points, label="megabytes of the model")
    with replacing(path) as file:
        drawn.savefig(file, format="png", metadata={"Software": GENERATOR})
