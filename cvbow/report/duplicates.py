"""A page of near-duplicates: the images of each group side by side, with what joins them."""

from __future__ import annotations

import os

from cvbow.duplicates import DuplicateGroup, DuplicatePair, Duplicates
from cvbow.index import ImageIndex
from cvbow.report._found import panel_figure, unmarked
from cvbow.report._html import count, data, escape, page, percent, section, write_page
from cvbow.tables import counted

#: What an image of a group has to do with an earlier one.
_SAID = {"identical": "same bytes as", "copy": "copy of", "part": "overlaps"}
#: A group stands under the first of these that one of its pairs is.
_HEADINGS = {"part": "Parts", "copy": "Copies", "identical": "Same bytes"}


def write_duplicates_page(
    path: str | os.PathLike[str], index: ImageIndex, found: Duplicates, *, title: str | None = None
) -> None:
    """Write groups of duplicates as one self-contained HTML page, whole or not at all.

    Parameters
    ----------
    path : path
    index : ImageIndex
        That was searched.
    found : Duplicates
        What ``find_duplicates`` returned. The page has first the groups with parts, then those of whole copies, then
        those of the same bytes; of each the least sure first; and at the end the names of one file.
    title : str, optional
        By default the index's name.
    """
    sections = []
    for kind, heading in _HEADINGS.items():
        groups = sorted((group for group in found.groups if _kind(group) == kind), key=lambda group: group.score)
        if groups:
            shown = [
                f"<h3>{number}. {_scored(group)}</h3>\n{_figures(index, group)}"
                for number, group in enumerate(groups, 1)
            ]
            sections.append(section(kind, f"{heading} ({counted(len(groups), 'group')})", "\n".join(shown)))
    if found.links:
        items = "\n".join(f"<li>{' = '.join(map(escape, names))}</li>" for names in found.links)
        note = '<p class="hint">Links lead from one name to another: deleting the file loses it.</p>'
        heading = f"One file of several names ({counted(len(found.links), 'file')})"
        sections.append(section("links", heading, f"{note}\n<ul>\n{items}\n</ul>"))
    what = f"{counted(len(found.groups), 'group')} of the same picture in an index of {count(found.n_images)} images"
    hint = (
        "The least sure groups come first. The score is the agreement of the details where two images overlap, from 0 "
        "to 1; the overlap is the share of each one's area that the other shows."
    )
    introduction = f'<p>{what}.</p>\n<p class="hint">{hint}</p>'
    if found.unseen:
        unread = f"{count(len(found.unseen))} could not be read; for these only the same bytes were looked for."
        introduction += f'\n<p class="wrong">{unread}</p>'
    write_page(path, page(title or os.path.basename(index.path) or index.path, introduction, sections))


def _kind(group: DuplicateGroup) -> str:
    return next(kind for kind in _HEADINGS if any(pair.reason == kind for pair in group.pairs))


def _scored(group: DuplicateGroup) -> str:
    return f"{count(len(group.paths))} images" + ("" if _kind(group) == "identical" else f", score {group.score:.3f}")


def _figures(index: ImageIndex, group: DuplicateGroup) -> str:
    number = {path: place for place, path in enumerate(group.paths, start=1)}
    joins: dict[str, list[str]] = {path: [] for path in group.paths}
    for pair in group.pairs:
        joins[pair.second].append(f"<br>{_SAID[pair.reason]} {number[pair.first]}{_figures_of(pair)}")
    figures = []
    for path, place in number.items():
        panel = unmarked(path, index.file(index.row(path)))
        size = "" if panel.image is None else f"{panel.image.shape[1]} x {panel.image.shape[0]}"
        figures.append(panel_figure(panel, f"image {place}", f"<b>{place}.</b> {size}{''.join(joins[path])}"))
    return f'<div class="found">\n{"".join(figures)}</div>'


def _figures_of(pair: DuplicatePair) -> str:
    if pair.reason == "identical":
        return ""
    score = f"{', ' * bool(pair.turned)}{pair.turned}: score {data(pair.score, f'{pair.score:.3f}')}"
    if pair.reason == "copy":
        return score
    first, second = map(percent, pair.overlap)
    return f"{score}, in {first} of that, {second} of this"
