"""The page of an audit: what is most worth seeing first, each finding with its images and with what to do."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Sequence

from cvbow._checks import check_int
from cvbow.audit import COLUMNS, SCORES, Audit, Finding
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation import shown_image
from cvbow.images import read_image, try_path
from cvbow.parallel import run
from cvbow.report._figure_groups import FigureGroups
from cvbow.report._gallery import SIDE, thumbnail
from cvbow.report._heat import heat_pictures, signed
from cvbow.report._html import (
    breakable,
    count,
    data,
    escape,
    isolate,
    link,
    page,
    picture,
    scroll_box,
    section,
    table,
    write_page,
)
from cvbow.report._judged import below, common_folder, figures
from cvbow.report._marking import SCRIPT, mark_box, tools
from cvbow.report._mistakes import VANISHED, timely_explanations
from cvbow.tables import counted, duration

#: Bytes of findings with images, and of those in lists, at most: with the rest of the page less than 20 MB.
LIMIT, _LIST_LIMIT = 13_000_000, 5_000_000
#: Images of one finding, and maps of heat, at most.
_MOST_IMAGES, _MOST_HEAT = 6, 3
#: The kinds from the one that is most worth seeing: their headings, and what they are.
_KINDS = {
    "shortcut": (
        "Shortcuts",
        "Something beside what the images show tells the classes. A model learns that, and fails where it is not so.",
    ),
    "leak": (
        "Leaks",
        "The same picture is in two parts of the set: what a model learned by heart counts as what it knows. Drop one.",
    ),
    "label": (
        "Labels",
        "The other images speak for another label. Look at the image beside the nearest ones of both labels.",
    ),
    "duplicate": ("Duplicates", "The same picture is there twice in one part of the set. One of them is enough."),
    "class": ("Classes", "Classes that the images do not tell apart, or that have too few images to be learned."),
    "stranger": ("Strangers", "These are like no other image of the set. Look whether they belong to it."),
    "picture": ("Bad pictures", "Little can be seen in these, or they are not what an image of the set should be."),
    "unreadable": ("Unreadable files", "No image could be read from these."),
}
_HEAT = " What is orange speaks for the class below the picture, what is blue against it; the number is its score."
#: Of these kinds, what each image is.
_ROLES = {
    "leak": ("to test with", "to train on"),
    "label": ("in question",),
    "duplicate": ("in question", "the same picture"),
    "stranger": ("in question", "near it"),
}


def write_audit_report(
    path: str | os.PathLike[str],
    audit: Audit,
    *,
    title: str,
    most_shown: int = 60,
    limit: int = LIMIT,
    n_jobs: int | None = None,
) -> None:
    """Write what an audit found as one HTML page that needs no other file and no network.

    It holds how many findings there are of each kind, and then the kinds, from the one that is most worth seeing: the
    surest findings with their images, others in a list. A finding about a label has the nearest images of both classes
    beside it and, where the audit has a model, heat for both, as ``cvbow.explain`` finds it; those for which a minute
    is enough. Findings can be searched, marked, and copied as lines of the CSV that ``cvbow audit --csv`` writes.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    audit : Audit
        What ``audit_images`` returned. An image that has gone since has a note in its place.
    title : str
        Heading of the page.
    most_shown : int, default 60
        Findings of each kind that are shown with their images, at most.
    limit : int, default 13,000,000
        Bytes of these, at most: where they would be more, fewer are shown with their images.
    n_jobs : int, optional
        Workers that read the images, as joblib counts them.

    Raises
    ------
    ValueError
        If the path does not end in .html or .htm, or a parameter breaks its rule.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder of `path` is missing or read-only, or `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from cvbow.audit import Audit, Finding
    >>> from cvbow.report import write_audit_report
    >>> found = Audit(2, 0.5, [Finding("unreadable", ("cat/7.jpg",), 1.0, "cat", "drop", "The file is empty.")], {})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audit_report(Path(folder) / "audit.html", found, title="Cats")
    ...     text = (Path(folder) / "audit.html").read_text()
    >>> "The file is empty." in text
    True
    """
    check_int("most_shown", most_shown, minimum=0)
    check_int("limit", limit, minimum=1)
    names = [name for finding in audit.findings for name in finding.paths]
    base = common_folder(names) if names else ""
    heat = _heat(audit.model, audit.of_kind("label")[:most_shown])
    cards = FigureGroups(limit)
    for kind in _KINDS:
        if kind != "unreadable":
            findings = audit.of_kind(kind)[:most_shown]
            wanted = [_images(finding, audit) for finding in findings]
            thumbnails = run(_thumbnail, [path for images in wanted for path, _ in images], n_jobs=n_jobs)
            for finding, images in zip(findings, wanted, strict=True):
                first, *others = (_figure(next(thumbnails), role, below(path, base)) for path, role in images)
                cards.add(kind, _card(finding, [first, *heat.get(finding, ()), *others]))
    sections, room = [], _LIST_LIMIT
    for kind, (heading, about) in _KINDS.items():
        findings, shown = audit.of_kind(kind), cards.groups.get(kind, [])
        if findings:
            parts = [f"<p>{about}{_HEAT * (kind == 'label' and bool(heat))}</p>"]
            if shown:
                # So wide that the images of most stand beside each other.
                most = max(card.count("<figure") for card in shown)
                parts.append(f'<div class="findings" style="--images:{most}">\n{"".join(shown)}</div>')
            if len(findings) > len(shown):
                parts.append(_list(findings[len(shown) :], base, room, is_all=not shown))
                room -= len(parts[-1].encode())
            sections.append(section(kind, f"{heading} ({count(len(findings))})", "\n".join(parts)))
    if sections:
        # Before all sections and in none, as it stays in sight over all of them.
        key, heading, content = sections[0]
        sections[0] = (key, heading, f"{tools(','.join(COLUMNS))}\n{content}")
    write_page(path, page(title, _introduction(audit, base), sections, SCRIPT if sections else ""))


def _introduction(audit: Audit, base: str) -> str:
    n_found, found = len(audit.findings), []
    for kind, (heading, _) in _KINDS.items():
        of_kind = audit.of_kind(kind)
        if of_kind:
            highest = "" if kind == "unreadable" else f"highest score {of_kind[0].score:.2f}"
            found.append((heading, link(kind, data(len(of_kind), count(len(of_kind)))), highest))
    first = (
        ("Images", data(audit.n_images, count(audit.n_images)), f"in {count(len(audit.counts))} classes"),
        ("Findings", data(n_found, count(n_found)), f"after {data(audit.seconds, duration(audit.seconds))}"),
    )
    parts = [figures((*first, *found))]
    if found:
        parts.append(f'<p class="hint">{SCORES}</p>')
    if base and found:
        parts.append(f'<p class="hint">Paths on this page begin at <code>{isolate(base)}</code></p>')
    if not found:
        parts.append("<p>Nothing was found.</p>")
    return "\n".join(parts)


def _images(finding: Finding, audit: Audit) -> list[tuple[str, str]]:
    """Return the images that are shown of a finding, and what each is."""
    roles = itertools.chain(_ROLES.get(finding.kind, ()), itertools.repeat(""))
    images = list(zip(finding.paths[:_MOST_IMAGES], roles, strict=False))
    if finding.kind == "label" and finding.paths[0] in audit.neighbours:
        near = audit.neighbours[finding.paths[0]]
        images += [
            (path, f"nearest {isolate(name)}")
            for path, name in zip(near, (finding.label, finding.suggested), strict=True)
            if path
        ]
    return images


def _heat(model: ImageClassifier | None, findings: Sequence[Finding]) -> dict[Finding, list[str]]:
    """Return figures of what speaks for the suggested label, and for that as given, of as many as there is time for."""
    if model is None:
        return {}
    known = {str(name) for name in model.classes_}
    wanted = {finding: names for finding in findings if (names := _in_question(finding, known))}
    asked, drawn = list(wanted), dict[Finding, list[str]]()
    for place, found in timely_explanations(model, [each.paths[0] for each in asked], list(wanted.values())):
        if found[0].method == "leaving out":
            break
        try:
            pictures, _ = heat_pictures(shown_image(model, asked[place].paths[0]), found, SIDE)
        except VANISHED:
            continue
        drawn[asked[place]] = [
            _figure(picture(heat, f"heat for {why.class_name}"), f"{isolate(why.class_name)} {signed(why.score)}")
            for why, heat in zip(found, pictures[1:], strict=True)
        ]
    return drawn


def _in_question(finding: Finding, known: Collection[str]) -> list[str]:
    """Return the classes that a model knows of those that only one of the labels has, the suggested one's first."""
    suggested, given = (
        [label] if label in known else label.split(" | ") for label in (finding.suggested or "", finding.label or "")
    )
    names = [name for name in suggested if name not in given] + [name for name in given if name not in suggested]
    return [name for name in names if name in known][:_MOST_HEAT]


def _thumbnail(path: str) -> str:
    """Return an image as HTML, or what stands in its place."""
    pixels = try_path(path, lambda: read_image(path, shrunk_to=SIDE))
    if isinstance(pixels, ImageError):
        return f'<span class="hint">{escape(pixels.reason)}</span>'
    return picture(thumbnail(pixels), os.path.basename(path))


def _figure(image: str, role: str, path: str = "") -> str:
    named = f'<span class="path">{breakable(path)}</span>' if path else ""
    return f'<figure><div class="frame">{image}</div><figcaption>{role}{named}</figcaption></figure>\n'


def _card(finding: Finding, images: Sequence[str]) -> str:
    more = len(finding.paths) - _MOST_IMAGES
    others = f' <span class="hint">and {counted(more, "other image")}</span>' if more > 0 else ""
    score = f'<span class="meter"><span style="width:{100 * finding.score:.0f}%"></span></span>{_score(finding)}'
    return f"""<article class="finding">
<div class="said"><label>{_box(finding)}<b>{_advice(finding)}</b></label>
<p class="score">{score}</p>
<p>{isolate(finding.why)}{others}</p></div>
<div class="shown">
{"".join(images)}</div>
</article>
"""


def _list(findings: Sequence[Finding], base: str, room: int, *, is_all: bool) -> str:
    """Return findings as a table that is closed unless it is all there is, as many as there is room for."""
    rows = []
    for finding in findings:
        paths = "<br>".join(breakable(below(path, base)) for path in finding.paths[:_MOST_IMAGES])
        row = (f"{_box(finding)}{paths}", _advice(finding), _score(finding), isolate(finding.why))
        # The table adds a hundred bytes or so around the cells.
        room -= len("".join(row).encode()) + 100
        if room < 0:
            break
        rows.append(row)
    what = counted(len(findings), "finding") if is_all else f"{count(len(findings))} more"
    short = len(findings) - len(rows)
    rest = f"<p>{count(short)} have no room here: <code>cvbow audit --json</code> has all.</p>" if short else ""
    heads = ("File", "Label and advice", "Score", "Why")
    return f"""<details class="more"{" open" if is_all else ""}><summary>{what}</summary>
{scroll_box(table(heads, rows, numbers=(2,)), what)}{rest}
</details>"""


def _advice(finding: Finding) -> str:
    label = isolate(finding.label) if finding.label else "all classes" * (finding.kind == "shortcut")
    if not finding.suggested:
        return label
    between = " → " if finding.kind == "label" else ": " if label else ""
    return f'{label}{between}<span class="wrong">{isolate(finding.suggested)}</span>'


def _score(finding: Finding) -> str:
    return data(finding.score, f"{finding.score:.2f}")


def _box(finding: Finding) -> str:
    return mark_box(finding.as_csv(), finding.paths[0])
