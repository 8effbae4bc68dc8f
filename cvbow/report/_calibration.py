"""Whether a classifier's probabilities can be believed: the reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.classify import ClassificationReport, LabelsReport, Reliability
from cvbow.experiments.significance import wilson_interval
from cvbow.report._html import MISSING, count, data, percent, table

# Pixels of the diagram: the square of the plot, then the histogram below it.
_LEFT, _TOP, _SIDE = 48, 10, 280
_BARS_TOP, _BARS_HEIGHT = _TOP + _SIDE + 12, 48
_WIDTH, _HEIGHT = _LEFT + _SIDE + 14, _BARS_TOP + _BARS_HEIGHT + 40


def told_sets(report: ClassificationReport | LabelsReport, right: str) -> str:
    """Return a paragraph on sets of labels, which should hold what is ``right``; none of a model that makes none."""
    if report.coverage is None or report.mean_set_size is None:
        return ""
    return f"""<p>Sets of labels that should hold {right} of 95\u202f% of images hold it for
<strong>{percent(report.coverage)}</strong> of these, with {data(report.mean_set_size, f"{report.mean_set_size:.2f}")}
labels on average.</p>"""


def diagram(measured: Reliability, right: str = "right answers") -> str:
    """Return the reliability diagram as SVG: accuracy over confidence, and how many answers each bin has.

    ``right`` says what those are that accuracy is the share of.
    """
    parts = [_axes(right), _histogram(measured.counts)]
    filled = np.flatnonzero(measured.counts)
    places = [(_x(measured.confidence[i]), _y(measured.accuracy[i])) for i in filled]
    for i, (x, _) in zip(filled, places, strict=True):
        low, high = wilson_interval(float(measured.accuracy[i]), int(measured.counts[i]))
        parts.append(f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{_y(low):.1f}" y2="{_y(high):.1f}"></line>')
    parts.append(f'<polyline class="curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"></polyline>')
    for i, (x, y) in zip(filled, places, strict=True):
        said = (
            f"{count(int(measured.counts[i]))} answers: mean confidence {100 * measured.confidence[i]:.1f} %, "
            f"{right} {100 * measured.accuracy[i]:.1f} %"
        )
        parts.append(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{said}</title></circle>')
    drawn = "\n".join(parts)
    return (
        f'<svg class="diagram" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Reliability diagram: share of {right} over confidence">\n{drawn}\n</svg>'
    )


def reliability_table(measured: Reliability, heads: Sequence[str] = ("Images", "Right")) -> str:
    """Return the numbers behind the diagram as a table; ``heads`` say what is counted, and of what there is a share."""
    n_bins = len(measured.counts)
    rows = [
        (
            f"{100 * i / n_bins:.0f} to {100 * (i + 1) / n_bins:.0f}\u202f%",
            count(int(measured.counts[i])),
            percent(float(measured.confidence[i])) if measured.counts[i] else MISSING,
            percent(float(measured.accuracy[i])) if measured.counts[i] else MISSING,
        )
        for i in range(n_bins)
    ]
    return table(("Confidence", heads[0], "Mean", heads[1]), rows, numbers=(1, 2, 3))


def _x(share: float) -> float:
    return _LEFT + _SIDE * share


def _y(share: float) -> float:
    return _TOP + _SIDE * (1 - share)


def _axes(right_answers: str) -> str:
    bottom, right, foot = _TOP + _SIDE, _LEFT + _SIDE, _BARS_TOP + _BARS_HEIGHT
    parts = [f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"></rect>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _x(share), _y(share)
        if 0 < share < 1:
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"></line>')
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"></line>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{foot + 16}" text-anchor="middle">{100 * share:.0f}</text>')
    parts.append(f'<line class="ideal" x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{_TOP}"></line>')
    parts.append(f'<text x="{_LEFT + _SIDE / 2}" y="{foot + 34}" text-anchor="middle">confidence, %</text>')
    middle = _TOP + _SIDE / 2
    parts.append(f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{right_answers}, %</text>')
    return "\n".join(parts)


def _histogram(counts: NDArray[np.int64]) -> str:
    foot, width = _BARS_TOP + _BARS_HEIGHT, _SIDE / len(counts)
    parts = []
    for i, number in enumerate(counts.tolist()):
        if number:
            # Even one answer among many thousands must be seen.
            height = max(1.0, _BARS_HEIGHT * number / int(counts.max()))
            parts.append(
                f'<rect class="bar" x="{_LEFT + i * width + 1:.1f}" y="{foot - height:.1f}" '
                f'width="{width - 2:.1f}" height="{height:.1f}"><title>{count(number)} answers</title></rect>'
            )
    parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{foot}" y2="{foot}"></line>')
    parts.append(f'<text x="{_LEFT - 6}" y="{_BARS_TOP + 10}" text-anchor="end">{count(int(counts.max()))}</text>')
    return "\n".join(parts)
