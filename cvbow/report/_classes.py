"""What a classifier takes for what: the confusion matrix and the table of classes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import numpy as np

from cvbow.classify import ClassificationReport
from cvbow.report._html import MISSING, count, escape, isolate, link, percent, scroll_box, table

# Upper bounds of the shades, in shares of a row. They widen upwards, since what is worth seeing among the mistakes
# are small shares.
_BOUNDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)

#: Above this many classes a matrix is neither readable nor, at a cell for each pair, a page to open.
MOST_CLASSES = 150
_DENSE_FROM = 40
_MOST_PAIRS = 100


#: Where the mistakes of some true classes and answers, as their numbers, are shown on the page.
Anchors = Mapping[tuple[int, int], str]


def confusions(report: ClassificationReport, anchors: Anchors) -> str:
    """Return the confusion matrix as a heat table, or the most frequent confusions of very many classes.

    Numbers of mistakes are links to where these are shown.
    """
    return (_matrix if len(report.classes) <= MOST_CLASSES else _pairs)(report, anchors)


def class_table(report: ClassificationReport, anchors: Anchors) -> str:
    """Return a row for each class, the worst first, and say which the model does not know."""
    numbers = report.confusion.sum(axis=1)
    # NaN, for a class without images, sorts last.
    order = np.argsort(report.recall, kind="stable")
    rows = []
    for i in order.tolist():
        recall, precision = float(report.recall[i]), float(report.precision[i])
        wrong = report.confusion[i].copy()
        wrong[i] = 0
        mistaken = MISSING
        if wrong.any():
            j = int(wrong.argmax())
            taken_for = link(anchors.get((i, j), ""), isolate(report.classes[j]))
            mistaken = f'{taken_for} <span class="hint">{count(int(wrong[j]))}</span>'
        bar = "" if recall != recall else f'<span class="meter"><span style="width:{100 * recall:.1f}%"></span></span>'
        name = isolate(report.classes[i])
        if report.classes[i] in report.unknown_classes:
            name += ' <span class="hint">not known to the model</span>'
        rows.append((name, count(int(numbers[i])), bar + percent(recall), percent(precision), mistaken))
    head = ("Class", "Images", "Recall", "Precision", "Most often taken for")
    return scroll_box(table(head, rows, numbers=(1, 2, 3)), "Classes")


def _matrix(report: ClassificationReport, anchors: Anchors) -> str:
    totals = report.confusion.sum(axis=1).tolist()
    top = "".join(f'<th scope="col" title="{escape(name)}"><span>{escape(name)}</span></th>' for name in report.classes)
    rows = []
    for i, (name, total) in enumerate(zip(report.classes, totals, strict=True)):
        cells = []
        for j, number in enumerate(report.confusion[i].tolist()):
            if not number:
                cells.append('<td class="hit"></td>' if i == j else "<td></td>")
                continue
            share = number / total
            kind = "hit" if i == j else "miss"
            said = f"{escape(name)} → {escape(report.classes[j])}: {count(number)} of {count(total)}"
            shown = link(anchors.get((i, j), ""), str(number))
            shade = bisect_left(_BOUNDS, share) + 1
            cells.append(f'<td class="{kind} s{shade}" title="{said} ({100 * share:.1f}\u202f%)">{shown}</td>')
        label = f'<th scope="row" title="{escape(name)}"><span>{escape(name)}</span></th>'
        rows.append(f"<tr>{label}{''.join(cells)}</tr>")
    body = "\n".join(rows)
    corner = '<th class="corner"><span>true ↓</span><span>answer →</span></th>'
    look = "confusion dense" if len(report.classes) >= _DENSE_FROM else "confusion"
    matrix = f'<table class="{look}">\n<thead><tr>{corner}{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'
    return (
        "<p>A row is a true class, a column an answer. The numbers count images; "
        f"the shade is their share of the row.{' A number of mistakes leads to their images.' * bool(anchors)}</p>\n"
        f"{_legend()}\n{scroll_box(matrix, 'Confusion matrix')}"
    )


def _legend() -> str:
    lines = []
    for kind, name in (("hit", "right"), ("miss", "wrong")):
        shades = "".join(f'<span class="{kind} s{i}">{100 * top:.0f}</span>' for i, top in enumerate(_BOUNDS, start=1))
        lines.append(f'<div><span class="name">{name}, up to %</span>{shades}</div>')
    return f'<div class="legend" aria-hidden="true">\n{"".join(lines)}\n</div>'


def _pairs(report: ClassificationReport, anchors: Anchors) -> str:
    wrong = report.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    totals = report.confusion.sum(axis=1)
    rows = []
    for i, j in zip(*(axis.tolist() for axis in np.unravel_index(order, wrong.shape)), strict=True):
        if wrong[i, j]:
            share = float(wrong[i, j] / totals[i])
            number = link(anchors.get((i, j), ""), count(int(wrong[i, j])))
            row = (isolate(report.classes[i]), isolate(report.classes[j]), number, percent(share))
            rows.append(row)
    if not rows:
        return "<p>No mistakes.</p>"
    head = ("Class", "Taken for", "Images", "Share of the class")
    return (
        f"<p>{count(len(report.classes))} classes are too many for a matrix: these are the most frequent mistakes, "
        f"{_MOST_PAIRS} at most.</p>\n{scroll_box(table(head, rows, numbers=(2, 3)), 'Most frequent mistakes')}"
    )
