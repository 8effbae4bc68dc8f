"""The page about one evaluation of a detector: how precise it is, and the images with most mistakes first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvbow.annotations import ObjectList, Objects
from cvbow.detection import DetectionReport, match_objects
from cvbow.errors import ImageError
from cvbow.images import read_image
from cvbow.report._html import count, data, escape, figure, isolate, page, scroll_box, section, table, write_page
from cvbow.report.objects import overlay_objects
from cvbow.tables import counted

#: Images that are shown at most, and the box that each is fitted into.
_MOST, _BOX = 36, (480, 360)
#: False alarms are counted from this probability on.
LEAST = 0.5
#: Of the diagram, in its own units: the frame, and what is around it.
_SIDE, _LEFT, _BOTTOM = 300, 46, 40
#: False alarms an image at the left and the right of the diagram, whose axis is logarithmic.
_FEWEST, _MANY = 0.01, 10.0


def write_detection_report(
    path: str | os.PathLike[str],
    report: DetectionReport,
    truth: ObjectList,
    found: Sequence[Objects],
    skipped: Sequence[ImageError] = (),
    *,
    title: str,
) -> None:
    """Write how well objects were found as one HTML page that needs no other file and no network.

    It holds the figures of ``report``, a table of the classes from the worst to the best, recall against false alarms,
    and the images with most mistakes: what was found with a probability of 0.5 or more, and in white dashes what is
    marked.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    report : DetectionReport
        Of ``truth`` and ``found``.
    truth : ObjectList
    found : sequence of Objects
        Of each of its images.
    skipped : sequence of ImageError
        Images that could not be read.
    title : str
        Heading of the page.

    Raises
    ------
    ValueError
        If there is not one of ``found`` for each image, or the path does not end in .html or .htm.
    OSError
        If nothing can be written there.
    """
    if len(found) != len(truth):
        raise ValueError(f"found must have objects for each of the {len(truth)} images, got {len(found)}")
    judged = [
        _Judged.of(image, marked, each) for image, marked, each in zip(truth.paths, truth.objects, found, strict=True)
    ]
    # The surest mistakes first, where images have as many.
    worst = sorted(judged, key=lambda each: (-each.n_wrong, -each.surest))
    sections = [
        section("classes", "Classes, the worst first", _classes(report, judged)),
        section("curve", "Recall against false alarms", _curve(report)),
        section("images", "Images, the most mistakes first", _images(worst, report)),
    ]
    if skipped:
        rows = [(isolate(error.path), escape(error.reason)) for error in skipped]
        sections.append(
            section("skipped", "Skipped files", scroll_box(table(("File", "Reason"), rows), "Skipped files"))
        )
    write_page(path, page(title, _introduction(report, judged, len(skipped)), sections))


@dataclass(frozen=True)
class _Judged:
    """One image: what was found with some probability, which of it is wrong, and what was missed."""

    path: os.PathLike[str]
    truth: Objects
    found: Objects
    wrong: Objects
    missed: Objects

    @classmethod
    def of(cls, path: os.PathLike[str], truth: Objects, found: Objects) -> _Judged:
        likely = found.take(found.scores >= LEAST)
        rows = match_objects(truth, likely)
        missed = np.ones(len(truth), bool)
        missed[rows[rows >= 0]] = False
        return cls(path, truth, likely, likely.take(rows < 0), truth.take(missed & ~truth.ignored))

    @property
    def n_wrong(self) -> int:
        return len(self.wrong) + len(self.missed)

    @property
    def surest(self) -> float:
        return float(self.wrong.scores.max(initial=0))


def _introduction(report: DetectionReport, judged: Sequence[_Judged], n_skipped: int) -> str:
    n_objects = int(report.n_objects.sum())
    missed, wrong = (sum(len(getattr(each, name)) for each in judged) for name in ("missed", "wrong"))
    figures = (
        ("AP at 0.5", _precision(report.ap50), "average precision at overlap 0.5"),
        ("AP", _precision(report.ap), "mean over overlaps 0.5 to 0.95, as COCO has it"),
        ("Objects", data(n_objects, count(n_objects)), f"marked, in {counted(report.n_images, 'image')}"),
        ("Missed", data(missed, count(missed)), f"not found with probability {LEAST:g} or more"),
        ("False alarms", data(wrong, count(wrong)), f"of probability {LEAST:g} or more"),
        ("Skipped", data(n_skipped, count(n_skipped)), "images that could not be read"),
    )
    body = "\n".join(
        f'<div><dt>{name}</dt><dd>{value}<span class="hint">{hint}</span></dd></div>' for name, value, hint in figures
    )
    return f'<dl class="figures">\n{body}\n</dl>'


def _precision(value: float) -> str:
    return "none marked" if np.isnan(value) else data(value, f"{value:.3f}")


def _classes(report: DetectionReport, judged: Sequence[_Judged]) -> str:
    if not report.classes:
        return "<p>Nothing is marked.</p>"
    rows = []
    for row in np.argsort(report.precisions[:, 0], kind="stable"):
        name = report.classes[row]
        missed, wrong = (
            sum(int((getattr(each, part).classes == name).sum()) for each in judged) for part in ("missed", "wrong")
        )
        values = report.precisions[row]
        rows.append(
            (
                isolate(name),
                count(int(report.n_objects[row])),
                data(float(values[0]), f"{values[0]:.3f}"),
                data(float(values.mean()), f"{values.mean():.3f}"),
                count(missed),
                count(wrong),
            )
        )
    head = ("Class", "Objects", "AP at 0.5", "AP", "Missed", "False alarms")
    return scroll_box(table(head, rows, numbers=range(1, 6)), "Classes")


def _curve(report: DetectionReport) -> str:
    """Return the share of objects found against false alarms an image, as a diagram and as numbers."""
    if not len(report.hits) or not report.n_objects.sum():
        return "<p>Nothing was found.</p>"
    alarms = np.cumsum(~report.hits) / report.n_images
    recall = np.cumsum(report.hits) / report.n_objects.sum()
    # The last of those with as many false alarms.
    last = np.flatnonzero(np.append(alarms[1:] > alarms[:-1], True))
    alarms, recall = alarms[last], recall[last]
    x = _LEFT + _SIDE * np.log(np.clip(alarms, _FEWEST, _MANY) / _FEWEST) / np.log(_MANY / _FEWEST)
    y = 8 + _SIDE * (1 - recall)
    kept = np.flatnonzero(np.append(True, (np.diff(x) != 0) | (np.diff(y) < 0)) & (alarms <= _MANY))
    step = -(-len(kept) // 400)
    kept = kept[::step] if len(kept) else np.array([0])
    points = " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(x[kept], y[kept], strict=True))
    marks = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = 8 + _SIDE * (1 - share)
        marks.append(f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{_LEFT + _SIDE}" y2="{at:.1f}"/>')
        marks.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{100 * share:g}</text>')
    for value in (0.01, 0.1, 1, 10):
        at = _LEFT + _SIDE * np.log(value / _FEWEST) / np.log(_MANY / _FEWEST)
        marks.append(f'<line class="grid" x1="{at:.1f}" y1="8" x2="{at:.1f}" y2="{8 + _SIDE}"/>')
        marks.append(f'<text x="{at:.1f}" y="{_SIDE + 24}" text-anchor="middle">{value:g}</text>')
    numbers = [
        (f"{value:g}", data(report.recall_at(value), f"{100 * report.recall_at(value):.1f}\u202f%"))
        for value in (0.1, 0.3, 1.0, 3.0)
    ]
    return f"""<div class="beside">
<svg class="diagram" viewBox="0 0 {_LEFT + _SIDE + 12} {_SIDE + 8 + _BOTTOM}" role="img"
aria-label="Recall against false alarms an image">
{"".join(marks)}
<rect class="frame" x="{_LEFT}" y="8" width="{_SIDE}" height="{_SIDE}"/>
<polyline class="curve" points="{points}"/>
<text x="{_LEFT + _SIDE / 2}" y="{_SIDE + 42}" text-anchor="middle">false alarms an image</text>
<text x="{_LEFT + 6}" y="22">objects found, %</text>
</svg>
<div>
<p>From the surest find on: the share of marked objects that are found, all classes together, against the number of
false ones that come with them. A box is right where it overlaps a marked one of its class by 0.5 or more.</p>
{scroll_box(table(("False alarms an image", "Found"), numbers, numbers=(0, 1)), "Recall")}
</div>
</div>"""


def _images(worst: Sequence[_Judged], report: DetectionReport) -> str:
    from PIL import Image

    names = [*report.classes, *sorted({name for each in worst for name in each.found.labels} - set(report.classes))]
    figures: list[str] = []
    for each in worst:
        if len(figures) == _MOST:
            break
        try:
            pixels = read_image(each.path)
        except (ImageError, FileNotFoundError):
            # It could be read when it was searched, and has gone since.
            continue
        shown = overlay_objects(pixels, each.found, truth=each.missed, classes=names, box=_BOX)
        said = f"{counted(len(each.found), 'object')} found"
        wrong = [counted(len(each.wrong), "false alarm")] if len(each.wrong) else []
        wrong += [f"{count(len(each.missed))} missed"] if len(each.missed) else []
        caption = (
            f'{said}, <span class="wrong">{", ".join(wrong)}</span>'
            if wrong
            else f'<span class="right">{said}, all rightly</span>'
        )
        figures.append(figure(Image.fromarray(shown), said, caption, os.fspath(each.path)))
    if not figures:
        return "<p>None of the images can be read any more.</p>"
    some = f"The first {len(figures)} of {counted(len(worst), 'image')}. " if len(figures) < len(worst) else ""
    return (
        f"<p>{some}Boxes in colours are what was found, with probabilities; white dashes are marked objects that were "
        f'missed.</p>\n<div class="found">\n{"".join(figures)}\n</div>'
    )
