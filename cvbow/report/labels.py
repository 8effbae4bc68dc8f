"""The page about an evaluation of a model for several labels an image: label by label, and the worst images first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.classify import Answers, ImageClassifier, LabelSets, LabelsReport, Reliability, place_sets, reliability
from cvbow.report._calibration import diagram, reliability_table, told_sets
from cvbow.report._gallery import AnsweredLabels, gallery
from cvbow.report._html import (
    MISSING,
    count,
    data,
    isolate,
    link,
    page,
    percent,
    scroll_box,
    section,
    table,
    write_page,
)
from cvbow.report._judged import GONE, below, common_folder, figures, how_made, skipped_files
from cvbow.report._mistakes import Pair, explain_mistakes, grouped
from cvbow.tables import counted

_MOST_IMAGES = 48
#: Kinds of mistakes, as the second part of a ``Pair``.
_FALSE, _MISSED = 0, 1
#: The least probability that counts, so that one sure mistake is not infinitely bad.
_LEAST = 1e-15


def write_labels_report(
    path: str | os.PathLike[str],
    *,
    model: ImageClassifier,
    report: LabelsReport,
    answers: Answers,
    paths: Sequence[Path],
    labels: Any,
    title: str,
    most_reasons: int = 100,
) -> None:
    """Write an evaluation as one HTML page that needs no other file and no network.

    It holds the figures of `report`, a table of the labels from the worst to the best, the images with the most wrong
    labels, of which those come first where the model was the surest, a reliability diagram, the mistakes of each label,
    reasons, the images that could not be read, and the recipe.

    Numbers of mistakes lead to thumbnails of these, 400 at most, and thumbnails to the reasons: heat for the labels
    that an image was wrongly given or not given, as ``cvbow.explain`` finds it, for the surest three of these; see
    ``write_evaluation_report``.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    model : ImageClassifier
        The fitted model that was judged.
    report : LabelsReport
        Of `answers`.
    answers : Answers
        Its ``rows`` are positions in `paths` and `labels`.
    paths : sequence of paths
        The images that were to be judged.
    labels : sequence of n_paths (list, tuple or set of labels), or indicator matrix
        Their labels.
    title : str
        Heading of the page.
    most_reasons : int, default 100
        Images that are explained, the worst ones, at most.

    Raises
    ------
    ValueError
        If the report, the answers, the paths and the labels do not belong together, or `most_reasons` is negative.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder of `path` is missing or read-only, or `path` is a folder.
    """
    check_int("most_reasons", most_reasons, minimum=0)
    base = common_folder(paths)
    judged = _Judged.of(model.classes_, report, answers, paths, labels, base)
    order = judged.worst
    images, reasons = explain_mistakes(model, [judged.images[row] for row in order], most_reasons, "image", "worst")
    for row, image in zip(order, images, strict=True):
        judged.images[row] = image
    mistakes, anchors = judged.by_label()
    sections = [
        section("labels", "Labels, the worst first", _label_table(model, report, anchors)),
        section("images", "Images, the worst first", _worst(images, len(judged.rows))),
        section("calibration", "Calibration", _calibration(judged.reliability(len(model.classes_)), report)),
        *([section("mistakes", "Mistakes by label", mistakes)] if anchors else []),
        *([section("reasons", "Reasons of mistakes", reasons)] if anchors and most_reasons else []),
        section("skipped", "Skipped files", skipped_files(answers.skipped, base)),
        section("recipe", "How it was made", how_made(model, base)),
    ]
    write_page(path, page(title, _introduction(report, len(answers.skipped)), sections))


@dataclass(eq=False)
class _Judged:
    """Which labels each image has and was given, (n_answers, n_names), with probabilities; and how it is shown."""

    names: list[str]
    rows: NDArray[np.intp]
    has: NDArray[np.bool_]
    given: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    images: list[AnsweredLabels]

    @classmethod
    def of(
        cls,
        classes: NDArray[Any],
        report: LabelsReport,
        answers: Answers,
        paths: Sequence[Path],
        labels: Any,
        base: str,
    ) -> _Judged:
        sets, rows = LabelSets.of(labels), np.asarray(answers.rows)
        if len(sets) != len(paths):
            raise ValueError(f"labels must be as many as paths, got {len(sets)} and {len(paths)}")
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(paths)):
            raise ValueError(f"answers must have rows below {len(paths)}, the number of paths, got {rows.max()}")
        names, has = place_sets(sets.part(rows), classes)
        given, probabilities = np.zeros(has.shape, bool), np.zeros(has.shape)
        places = {name: place for place, name in enumerate(classes.tolist())}
        for row, found in enumerate(answers.labels):
            given[row, [places[name] for name in found]] = True
        probabilities[:, : len(classes)] = answers.probabilities
        counts = (report.hits, report.false_alarms, report.misses)
        found = ((has & given).sum(axis=0), (given & ~has).sum(axis=0), (has & ~given).sum(axis=0))
        if names != report.classes or not all(map(np.array_equal, counts, found)):
            raise ValueError("report must be of these answers and labels, got the report of others")
        images = [
            AnsweredLabels(
                paths[row],
                below(os.fspath(paths[row]), base),
                tuple(name for name, right in zip(names, here & there, strict=True) if right),
                _named(names, there & ~here, p, -1),
                _named(names, here & ~there, p, 1),
            )
            for row, here, there, p in zip(rows, has, given, probabilities, strict=True)
        ]
        return cls(names, rows, has, given, probabilities, images)

    @property
    def losses(self) -> NDArray[np.float64]:
        """How sure the model was of what is not so, pair by pair: minus the logarithm of what the truth was given."""
        right = np.where(self.has, self.probabilities, 1 - self.probabilities)
        return np.asarray(-np.log(np.maximum(right, _LEAST)))

    @property
    def worst(self) -> list[int]:
        """Positions of the images with wrong labels: those with most of them first, and then the surest."""
        n_wrong = (self.has != self.given).sum(axis=1)
        order = np.lexsort((-self.losses.sum(axis=1), -n_wrong))
        return [row for row in order.tolist() if n_wrong[row]]

    def by_label(self) -> tuple[str, dict[Pair, str]]:
        """Return HTML of the mistakes of each label, the surest first, and where they are on the page."""
        cells = np.argwhere(self.has != self.given)
        losses = self.losses[tuple(cells.T)]
        cells = cells[np.argsort(-losses, kind="stable")]
        pairs = [(int(label), _MISSED if self.has[row, label] else _FALSE) for row, label in cells]
        said = {_MISSED: "missed", _FALSE: "false"}
        return grouped(
            [self.images[row] for row, _ in cells],
            pairs,
            lambda first, pair: f'{said[pair[1]]} <span class="wrong">{isolate(self.names[pair[0]])}</span>',
        )

    def reliability(self, n_known: int) -> Reliability:
        """Return how often images have labels of like probability."""
        return reliability(self.probabilities[:, :n_known].ravel(), self.has[:, :n_known].ravel())


def _named(names: Sequence[str], which: NDArray[np.bool_], p: NDArray[np.float64], sign: int) -> dict[str, float]:
    """Return some labels with their probabilities, the least probable first, or with a sign of -1 the most probable."""
    order = np.argsort(sign * p, kind="stable")
    return {names[place]: float(p[place]) for place in order.tolist() if which[place]}


def _introduction(report: LabelsReport, n_skipped: int) -> str:
    n_pairs = report.n_images * len(report.classes)
    wrong = int(report.false_alarms.sum() + report.misses.sum())
    chance = float(report.counts[report.counts > 0].mean() / report.n_images) if report.counts.any() else float("nan")
    unread = '<a href="#skipped">could not be read</a>' if n_skipped else "every image could be read"
    return figures(
        (
            (
                "Mean average precision",
                percent(report.mean_average_precision),
                f"about {percent(chance)} by chance; {percent(report.mean_average_precision_2007)} at eleven recalls",
            ),
            ("F1, mean over labels", percent(report.macro_f1), f"{percent(report.micro_f1)} over all answers"),
            ("All labels right", percent(report.subset_accuracy), "of images: none missed and none false"),
            ("Hamming loss", percent(report.hamming_loss), f"{count(wrong)} of {count(n_pairs)} answers wrong"),
            ("Images", data(report.n_images, count(report.n_images)), f"with {count(len(report.classes))} labels"),
            ("Skipped", data(n_skipped, count(n_skipped)), unread),
        )
    )


def _label_table(model: ImageClassifier, report: LabelsReport, anchors: dict[Pair, str]) -> str:
    # NaN, for a label without images, sorts last.
    thresholds = model.classifier_.thresholds_
    rows = []
    for place in np.argsort(report.average_precision, kind="stable").tolist():
        known = place < len(thresholds)
        name = isolate(report.classes[place]) + ("" if known else ' <span class="hint">not known to the model</span>')
        area = float(report.average_precision[place])
        bar = "" if area != area else f'<span class="meter"><span style="width:{100 * area:.1f}%"></span></span>'
        shares = (report.precision, report.recall, report.f1)
        mistakes = ((report.false_alarms, _FALSE), (report.misses, _MISSED))
        rows.append(
            (
                name,
                count(int(report.counts[place])),
                bar + percent(area),
                *(percent(float(values[place])) for values in shares),
                *(link(anchors.get((place, kind), ""), count(int(values[place]))) for values, kind in mistakes),
                percent(float(thresholds[place])) if known else MISSING,
            )
        )
    head = ("Label", "Images", "Average precision", "Precision", "Recall", "F1", "False", "Missed", "Given from")
    said = (
        "<p>Average precision is the area under precision over recall: how well the probabilities put the images that "
        "have a label before the others. A label is given from the probability that had the best F1 on training images "
        "that were left out.</p>"
    )
    return f"{said}\n{scroll_box(table(head, rows, numbers=range(1, len(head))), 'Labels')}"


def _worst(images: Sequence[AnsweredLabels], n_answers: int) -> str:
    if not images:
        return "<p>All labels of all images are right.</p>"
    shown = gallery(images, _MOST_IMAGES)
    reason = " An image leads to the reasons." * any(image.anchor for image in images)
    said = (
        "<p>Labels that were rightly given, missed ones and false ones, and the probability the model gave to these. "
        f"{count(len(images))} of {counted(n_answers, 'image')} have a wrong label, the most and the surest "
        f"first.{reason}</p>"
    )
    return f"{said}\n{shown or GONE}"


def _calibration(measured: Reliability, report: LabelsReport) -> str:
    heads = ("Answers", "Have it")
    return f"""<div class="beside">
{diagram(measured, "images that have the label")}
<div>
<p><strong>Expected calibration error: {percent(measured.calibration_error)}</strong></p>
<p>Probabilities can be believed when, of the images that are given a probability of 80\u202f% for a label, 80\u202f%
have it: the points then lie on the dashed line. Below the line the model gives too much, above it too little. An answer
is an image with a label.</p>
<p>The error is the mean distance from the line, in {len(measured.counts)} equal bins of probability, weighted by their
number of answers. Thin lines are 95\u202f% intervals; the bars below count the answers.</p>
{told_sets(report, "all labels")}
<details><summary>The numbers</summary>
{scroll_box(reliability_table(measured, heads), "Calibration")}
</details>
</div>
</div>"""
