"""Tables of a report, of classes or of labels, for a person."""

from __future__ import annotations

from cvbow.classify import ClassificationReport, LabelsReport
from cvbow.tables import Table

__all__ = ["labels_tables", "report_tables"]

#: With more classes than this a confusion matrix does not fit a terminal; the worst confusions are listed instead.
MATRIX_LIMIT = 20


def report_tables(report: ClassificationReport) -> list[Table]:
    """Return the measures, a row per class, and the confusions."""
    measures = [
        ("images", str(report.n_images)),
        ("accuracy", f"{report.accuracy:.4f}"),
        (
            "mean class accuracy",
            f"{report.mean_class_accuracy:.4f} (std over classes {report.class_accuracy_std:.4f})",
        ),
        ("top-5 accuracy", f"{report.top5_accuracy:.4f}"),
        ("log loss", f"{report.log_loss:.4f}"),
        *_knows(report),
    ]
    if report.unknown_classes:
        measures.append(("unknown classes", ", ".join(map(_short, report.unknown_classes))))
    names = [_short(name) for name in report.classes]
    counts = map(str, report.confusion.sum(axis=1))
    shares = ([_share(value) for value in values] for values in (report.recall, report.precision))
    classes = list(zip(names, counts, *shares, strict=True))
    confusions = _matrix(report, names) if len(names) <= MATRIX_LIMIT else _worst(report, names)
    return [Table((), measures), Table(("class", "images", "recall", "precision"), classes), confusions]


def labels_tables(report: LabelsReport) -> list[Table]:
    """Return the measures, and a row per label."""
    measures = [
        ("images", str(report.n_images)),
        (
            "mean average precision",
            f"{report.mean_average_precision:.4f} (VOC 2007 {report.mean_average_precision_2007:.4f})",
        ),
        ("F1", f"{report.macro_f1:.4f} mean over labels, {report.micro_f1:.4f} over all answers"),
        ("Hamming loss", f"{report.hamming_loss:.4f}"),
        ("all labels right", f"{report.subset_accuracy:.4f}"),
        *_knows(report),
    ]
    if report.unknown_classes:
        measures.append(("unknown labels", ", ".join(map(_short, report.unknown_classes))))
    columns = (report.average_precision, report.precision, report.recall, report.f1)
    shares = ([_share(value) for value in values] for values in columns)
    rows = list(zip(map(_short, report.classes), map(str, report.counts), *shares, strict=True))
    return [Table((), measures), Table(("label", "images", "average precision", "precision", "recall", "F1"), rows)]


def _knows(report: ClassificationReport | LabelsReport) -> list[tuple[str, str]]:
    """Return how well the model knows how sure to be."""
    rows = [("calibration error", f"{report.calibration_error:.4f}")]
    if report.coverage is not None:
        size = f"{report.mean_set_size:.2f} labels on average"
        rows.append(("in sets of 95 %", f"{report.coverage:.4f} of the images; {size}"))
    return rows


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _matrix(report: ClassificationReport, names: list[str]) -> Table:
    cells = [[str(count) if count else "" for count in row] for row in report.confusion]
    what = "confusion: a row per true class, a column per answer"
    if max(map(len, names)) <= max(3, len(str(report.confusion.max()))):
        return Table(("", *names), [(name, *row) for name, row in zip(names, cells, strict=True)], what)
    numbers = [str(number) for number in range(1, len(names) + 1)]
    rows = [(name, number, *row) for name, number, row in zip(names, numbers, cells, strict=True)]
    return Table(("", "", *numbers), rows, f"{what}, numbered in the same order")


def _worst(report: ClassificationReport, names: list[str], limit: int = 20) -> Table:
    mistakes = [
        (int(report.confusion[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and report.confusion[i, j]
    ]
    worst = sorted(mistakes, key=lambda mistake: -mistake[0])[:limit]
    rows = [(str(count), truth, answer) for count, truth, answer in worst]
    return Table(("images", "true class", "answer"), rows, "most frequent confusions")


def _short(name: str, limit: int = 24) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"
