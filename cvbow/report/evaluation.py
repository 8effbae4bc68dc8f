"""The page about one evaluation: how good a model is, what it takes for what, and whether it knows how sure to be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_int
from cvbow.classify import Answers, ClassificationReport, ImageClassifier, Reliability, place_labels, reliability
from cvbow.report._calibration import diagram, reliability_table, told_sets
from cvbow.report._classes import MOST_CLASSES, class_table, confusions
from cvbow.report._gallery import Answered, gallery
from cvbow.report._html import count, data, isolate, page, percent, scroll_box, section, write_page
from cvbow.report._judged import GONE, below, common_folder, figures, how_made, skipped_files
from cvbow.report._mistakes import by_pair, explain_mistakes, with_anchor

_MOST_MISTAKES = 24
_MOST_UNSURE = 8


def write_evaluation_report(
    path: str | os.PathLike[str],
    *,
    model: ImageClassifier,
    report: ClassificationReport,
    answers: Answers,
    paths: Sequence[Path],
    labels: ArrayLike,
    title: str,
    most_reasons: int = 100,
) -> None:
    """Write an evaluation as one HTML page that needs no other file and no network.

    It holds the figures of `report`, the confusion matrix, a table of the classes from the worst to the best, a
    reliability diagram, thumbnails of the surest mistakes and of the least sure right answers, the images that could
    not be read, and the recipe. An image that has gone since it was judged has no thumbnail.

    Numbers of mistakes lead to thumbnails of these, 400 at most, and thumbnails to the reason of the mistake: heat for
    the answer and for the true class, as ``cvbow.explain`` finds it. Reasons take a minute at most, and are left out
    of models whose scores are no sums of parts.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    model : ImageClassifier
        The fitted model that was judged.
    report : ClassificationReport
        Of `answers`.
    answers : Answers
        Its ``rows`` are positions in `paths` and `labels`.
    paths : sequence of paths
        The images that were to be judged.
    labels : array of shape (n_paths,)
        Their classes.
    title : str
        Heading of the page.
    most_reasons : int, default 100
        Mistakes that are explained, the surest ones, at most.

    Raises
    ------
    ValueError
        If the report, the answers, the paths and the labels do not belong together, or `most_reasons` is negative.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder of `path` is missing or read-only, or `path` is a folder.
    """
    check_int("most_reasons", most_reasons, minimum=0)
    judged = _Judged.of(model.classes_, report, answers, paths, labels)
    measured = reliability(judged.confidence, judged.truth == judged.answer)
    base = common_folder(paths)
    wrong = judged.mistakes
    mistakes, reasons = explain_mistakes(model, list(judged.answered(wrong, paths, base)), most_reasons)
    pairs = list(zip(judged.truth[wrong].tolist(), judged.answer[wrong].tolist(), strict=True))
    confused, anchors = by_pair(mistakes, pairs)
    # What has no reason is at least among its like.
    linked = [
        with_anchor(each, each.anchor or anchors.get(pair, "")) for each, pair in zip(mistakes, pairs, strict=True)
    ]
    sections = [
        section(
            "confusion",
            "Confusion matrix" if len(report.classes) <= MOST_CLASSES else "Most frequent confusions",
            confusions(report, anchors),
        ),
        section("classes", "Classes, the worst first", class_table(report, anchors)),
        section("calibration", "Calibration", _calibration(measured, report)),
        section("mistakes", "The surest mistakes", _mistakes(linked, len(judged.rows))),
        section("unsure", "The least sure right answers", _unsure(judged, paths, base)),
        *([section("confused", "Mistakes by class", confused)] if anchors else []),
        *([section("reasons", "Reasons of mistakes", reasons)] if anchors and most_reasons else []),
        section("skipped", "Skipped files", skipped_files(answers.skipped, base)),
        section("recipe", "How it was made", how_made(model, base)),
    ]
    write_page(path, page(title, _introduction(report, len(answers.skipped)), sections))


@dataclass(frozen=True, eq=False)
class _Judged:
    """Each answer as indices into ``classes``, with the probability it was given; all of shape (n_answers,)."""

    classes: list[str]
    rows: NDArray[np.intp]
    truth: NDArray[np.intp]
    answer: NDArray[np.intp]
    confidence: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        classes: NDArray[Any],
        report: ClassificationReport,
        answers: Answers,
        paths: Sequence[Path],
        labels: ArrayLike,
    ) -> _Judged:
        given = np.asarray(labels)
        if len(given) != len(paths):
            raise ValueError(f"labels must be as many as paths, got {len(given)} and {len(paths)}")
        rows = np.asarray(answers.rows)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(paths)):
            raise ValueError(f"answers must have rows below {len(paths)}, the number of paths, got {rows.max()}")
        names, truth = place_labels(given[rows], classes)
        _, answer = place_labels(answers.labels, classes)
        confusion = np.zeros_like(report.confusion)
        belongs = truth.shape == answer.shape and names == report.classes and answer.max(initial=0) < len(classes)
        if belongs:
            np.add.at(confusion, (truth, answer), 1)
        if not belongs or not np.array_equal(confusion, report.confusion):
            raise ValueError("report must be of these answers and labels, got the report of others")
        # A report's classes begin with the model's, in the order of the probabilities' columns.
        confidence = np.asarray(answers.probabilities, np.float64)[np.arange(len(rows)), answer]
        return cls(report.classes, rows, truth, answer, confidence)

    @property
    def mistakes(self) -> NDArray[np.intp]:
        """Positions of the wrong answers, the surest first."""
        wrong = np.flatnonzero(self.truth != self.answer)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    def answered(self, positions: NDArray[np.intp], paths: Sequence[Path], base: str) -> Iterator[Answered]:
        return (
            Answered(
                path=paths[self.rows[i]],
                shown_path=below(os.fspath(paths[self.rows[i]]), base),
                truth=self.classes[self.truth[i]],
                answer=self.classes[self.answer[i]],
                confidence=float(self.confidence[i]),
            )
            for i in positions
        )


def _introduction(report: ClassificationReport, n_skipped: int) -> str:
    n_classes, totals = len(report.classes), report.confusion.sum(axis=1)
    largest = int(totals.argmax())
    constant = f"{100 * totals[largest] / totals.sum():.1f}\u202f%"
    deviation = report.class_accuracy_std
    right, largest_name = count(int(np.trace(report.confusion))), isolate(report.classes[largest])
    spread = f"<small>± {data(deviation, f'{100 * deviation:.1f}')}</small>"
    among = "class among the five most probable" if n_classes > 5 else f"says nothing: there are {n_classes} classes"
    unread = '<a href="#skipped">could not be read</a>' if n_skipped else "every image could be read"
    guess = f"0 is perfect; guessing evenly gives {np.log(n_classes):.3f}"
    return figures(
        (
            ("Accuracy", percent(report.accuracy), f"{right} right; {constant} by always saying {largest_name}"),
            (
                "Mean class accuracy",
                f"{percent(report.mean_class_accuracy)} {spread}",
                "± standard deviation over classes",
            ),
            ("Top 5", percent(report.top5_accuracy), among),
            ("Log loss", data(report.log_loss, f"{report.log_loss:.3f}"), guess),
            ("Images", data(report.n_images, count(report.n_images)), f"in {count(n_classes)} classes"),
            ("Skipped", data(n_skipped, count(n_skipped)), unread),
        )
    )


def _calibration(measured: Reliability, report: ClassificationReport) -> str:
    return f"""<div class="beside">
{diagram(measured)}
<div>
<p><strong>Expected calibration error: {percent(measured.calibration_error)}</strong></p>
<p>A model's probabilities can be believed when, of the answers that it is 80\u202f% sure of, 80\u202f% are right:
the points then lie on the dashed line. Below the line it is too sure, above it not sure enough. On average this one is
{percent(measured.mean_confidence)} sure, and {percent(measured.mean_accuracy)} of its answers are right.</p>
<p>The error is the mean distance from the line, in {len(measured.counts)} equal bins of confidence, weighted by their
number of images. Thin lines are 95\u202f% intervals; the bars below count the images.</p>
{told_sets(report, "the right one")}
<details><summary>The numbers</summary>
{scroll_box(reliability_table(measured), "Calibration")}
</details>
</div>
</div>"""


def _mistakes(mistakes: Sequence[Answered], n_answers: int) -> str:
    if not mistakes:
        return "<p>There are no mistakes.</p>"
    shown = gallery(mistakes, _MOST_MISTAKES)
    reason = " An image leads to the reason." * any(each.anchor.startswith("why") for each in mistakes)
    said = (
        f"<p>True class → answer, and the probability the model gave to it. "
        f"{count(len(mistakes))} of {count(n_answers)} answers are wrong.{reason}</p>"
    )
    return f"{said}\n{shown or GONE}"


def _unsure(judged: _Judged, paths: Sequence[Path], base: str) -> str:
    right = np.flatnonzero(judged.truth == judged.answer)
    if not len(right):
        return "<p>There are no right answers.</p>"
    order = right[np.argsort(judged.confidence[right], kind="stable")]
    return gallery(judged.answered(order, paths, base), _MOST_UNSURE) or GONE
