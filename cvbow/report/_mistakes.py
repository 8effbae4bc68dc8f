"""Mistakes: those of each class and answer, and the reason of each, as heat for the answer and for the truth."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation import Explanation, explanations_of, shown_image
from cvbow.progress import stages
from cvbow.report._gallery import Answered, Shown, gallery
from cvbow.report._heat import heat_maps
from cvbow.report._html import breakable, count, isolate
from cvbow.tables import counted

#: Thumbnails of mistakes, at most: so many are less than 6 MB.
MOST_SHOWN = 400
#: Seconds that reasons may take, and the longest side of their pictures in pixels.
_SECONDS = 60
_SIDE = 192
#: What may be wrong with an image that has gone since the model answered, or is another one now.
VANISHED = (ImageError, FileNotFoundError, ValueError)

Pair = tuple[int, int]
AnyShown = TypeVar("AnyShown", bound=Shown)


def explain_mistakes(
    model: ImageClassifier, mistakes: Sequence[AnyShown], most: int, each: str = "mistake", first: str = "surest"
) -> tuple[list[AnyShown], str]:
    """Tell why images were mistaken for others.

    Parameters
    ----------
    model : ImageClassifier
    mistakes : sequence of Answered or AnsweredLabels
        Those that are explained first come first.
    most : int
        How many are explained at most; fewer where that would take long.
    each, first : str, default "mistake" and "surest"
        What one of them is called, and what those that come first are.

    Returns
    -------
    mistakes : list
        The same; those that are explained have the anchor of their reason.
    reasons : str
        HTML of the reasons, and of why some have none.
    """
    known = {str(name) for name in model.classes_}
    linked, figures = list(mistakes), list[str]()
    method = "exact"
    wanted = [[name for name in shown.in_question if name in known] for shown in mistakes[:most]]
    for place, found in timely_explanations(model, [shown.path for shown in mistakes[:most]], wanted):
        method = found[0].method
        if method == "leaving out":
            break
        anchor = f"why{place + 1}"
        try:
            figures.append(_reason(model, mistakes[place], found, anchor))
        except VANISHED:
            continue
        linked[place] = with_anchor(mistakes[place], anchor)
    return linked, _reasons(figures, f"{counted(len(mistakes), each)}, the {first} first", len(mistakes), method)


def timely_explanations(
    model: ImageClassifier, images: Sequence[str | os.PathLike[str]], classes: Sequence[Sequence[str]]
) -> Iterator[tuple[int, list[Explanation]]]:
    """Yield places of images and their explanations for classes of their own, as many as a minute has room for.

    Images that cannot be read have none. Whoever leaves off after the first has not waited for the others.
    """
    started = time.perf_counter()
    with stages({"explain": 1, "explain more": len(images)}) as begin:
        for first, last in ((0, 1), (1, len(images))):
            if first >= len(images):
                return
            begin("explain more" if first else "explain")
            for place, found in enumerate(explanations_of(model, images[first:last], classes[first:last]), first):
                if time.perf_counter() - started > _SECONDS:
                    return
                if not isinstance(found, ImageError):
                    yield place, found


def with_anchor(shown: AnyShown, anchor: str) -> AnyShown:
    """Return the same answer, of which more is said at an anchor."""
    changed: Any = shown
    found: AnyShown = dataclasses.replace(changed, anchor=anchor)
    return found


def by_pair(mistakes: Sequence[Answered], pairs: Sequence[Pair], most: int = MOST_SHOWN) -> tuple[str, dict[Pair, str]]:
    """Show the mistakes of each class and answer, as ``grouped`` does.

    Parameters
    ----------
    mistakes : sequence of Answered
        The surest first.
    pairs : sequence of (int, int)
        The class and the answer of each, as numbers.
    most : int, default 400
        How many are shown at most.

    Returns
    -------
    content : str
        HTML; empty if none of the images can be read.
    anchors : dict
        Where the mistakes of a class and an answer are.
    """
    return grouped(mistakes, pairs, lambda first, pair: _titled(first), most)


def grouped(
    mistakes: Sequence[AnyShown], pairs: Sequence[Pair], title: Callable[[AnyShown, Pair], str], most: int = MOST_SHOWN
) -> tuple[str, dict[Pair, str]]:
    """Show mistakes in groups, as many of one as of another where not all have room.

    The parameters and what is returned are those of ``by_pair``; ``title`` gives the HTML of a group's heading, for its
    first mistake and its pair.
    """
    groups: dict[Pair, list[int]] = {}
    ranks = []
    for place, pair in enumerate(pairs):
        groups.setdefault(pair, []).append(place)
        ranks.append(len(groups[pair]))
    shown = set(sorted(range(len(pairs)), key=lambda place: (ranks[place], place))[:most])
    parts, anchors = [], {}
    for pair, places in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        content = gallery((mistakes[place] for place in places if place in shown), most)
        if not content:
            continue
        anchors[pair] = f"from{pair[0]}to{pair[1]}"
        first, n_shown = mistakes[places[0]], sum(place in shown for place in places)
        number = count(len(places)) if n_shown == len(places) else f"{count(n_shown)} of {count(len(places))}"
        parts.append(
            f'<h3 id="{anchors[pair]}">{title(first, pair)} <span class="hint">{number}</span></h3>\n{content}'
        )
    if len(shown) < len(pairs):
        parts.insert(0, f"<p>{count(len(shown))} of {counted(len(pairs), 'mistake')}, the surest of each kind.</p>")
    return "\n".join(parts), anchors


def _titled(first: Answered) -> str:
    return f'{isolate(first.truth)} → <span class="wrong">{isolate(first.answer)}</span>'


def _reason(model: ImageClassifier, mistake: Shown, explained: Sequence[Explanation], anchor: str) -> str:
    maps = heat_maps(shown_image(model, mistake.path), explained, _SIDE)
    return f"""<figure class="reason" id="{anchor}">
<figcaption>{mistake.said}
<span class="path">{breakable(mistake.shown_path)}</span></figcaption>
{maps}
</figure>
"""


def _reasons(figures: Sequence[str], mistakes: str, n_mistakes: int, method: str) -> str:
    if method == "leaving out":
        return (
            "<p>The scores of this model are no sums over parts of an image, so that reasons take long. "
            "<code>cvbow explain</code> finds them for single images.</p>"
        )
    if not figures:
        return "<p>No mistake is explained.</p>"
    said = f"The reasons of {count(len(figures))} of {mistakes}. "
    how = " The score is no sum of parts, and shared out by its mean gradient." if method == "mean gradient" else ""
    rest = " <code>cvbow explain</code> has those of the others." * (len(figures) < n_mistakes)
    return (
        f"<p>{said}What is orange speaks for the class below the picture, what is blue against it; the number is the "
        f"class's score.{how}{rest}</p>\n"
        f'<div class="reasons">\n{"".join(figures)}</div>'
    )
