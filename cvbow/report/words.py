"""A page of visual words: for each class those that matter most, what they look like, and where else they occur."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.explanation import WordGallery, WordPatch, WordUse
from cvbow.report._html import (
    MISSING,
    breakable,
    count,
    data,
    escape,
    isolate,
    page,
    percent,
    picture,
    section,
    table,
    write_page,
)
from cvbow.tables import counted

#: Bytes of the words' figures, at most: with the rest of the page less than 15 MB.
LIMIT = 14_000_000
_COLUMNS = 4
#: Classes that a word's own table has, at most.
_MOST_CLASSES = 15
_MIDDLE_GRAY = 128
#: What ``WordGallery.weight_is`` says, in words.
_WEIGHTS = {
    "mean": "mean over the cells of the word's coefficient",
    "length": "length of the word's coefficients, which has no sign",
}


def write_words_page(
    path: str | os.PathLike[str], gallery: WordGallery, *, title: str, per_class: int = 12, limit: int = LIMIT
) -> None:
    """Write a gallery of words as one HTML page that needs no other file and no network.

    It has a section for each class that has images, with the words that matter most for it: the mean of their patches,
    the nearest patches, what they give to the class's score, in how many of its images they are, and the same for other
    classes. Images that could not be read stand at the end.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    gallery : WordGallery
        What ``word_gallery`` returned.
    title : str
        Heading of the page.
    per_class : int, default 12
        Words of each class, at most.
    limit : int, default 14,000,000
        Bytes of all figures, at most: where they would be more, every class has fewer words, and the page says so.

    Raises
    ------
    ValueError
        If the path does not end in .html or .htm, or a parameter breaks its rule.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder of `path` is missing or read-only, or `path` is a folder.
    """
    check_int("per_class", per_class, minimum=1)
    check_int("limit", limit, minimum=1)
    names = [name for name in gallery.classes if gallery.words_for(name, 1)]
    figures = _figures(gallery, names, per_class, limit)
    sections = [
        section(f"class{place}", f"{name} ({counted(_n_images(gallery, name), 'image')})", _words(figures[name]))
        for place, name in enumerate(names)
        if figures[name]
    ]
    if gallery.skipped:
        items = "\n".join(f"<li>{breakable(error.path)}: {escape(error.reason)}</li>" for error in gallery.skipped)
        sections.append(section("skipped", "Skipped files", f"<ul>\n{items}\n</ul>"))
    write_page(path, page(title, _introduction(gallery, figures, per_class), sections))


def _figures(gallery: WordGallery, names: Sequence[str], per_class: int, limit: int) -> dict[str, list[str]]:
    """Return the figures of each class, the same number of each, as many as fit."""
    words = {name: gallery.words_for(name, per_class) for name in names}
    found: dict[str, list[str]] = {name: [] for name in names}
    size = 0
    for rank in range(per_class):
        for name in names:
            if rank < len(words[name]):
                figure = _figure(gallery, words[name][rank], name)
                size += len(figure.encode())
                if size > limit:
                    # Of the classes alike many, unless not even one of each fits.
                    return {name: each[: max(rank, 1)] for name, each in found.items()}
                found[name].append(figure)
    return found


def _introduction(gallery: WordGallery, figures: dict[str, list[str]], per_class: int) -> str:
    n_words, has_pairs = len(gallery.words), any(len(word.words) > 1 for word in gallery.words)
    channels = sorted({word.channel for word in gallery.words})
    most = max(map(len, figures.values()), default=0)
    numbers = [
        ("Images", count(int(gallery.n_images.sum()))),
        ("Pairs of words" if has_pairs else "Words", count(n_words)),
        ("Shown for each class", count(most)),
    ]
    if len(channels) > 1:
        numbers.append(("Channels", count(len(channels))))
    parts = "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers)
    said = [f'<dl class="figures">\n{parts}\n</dl>']
    if gallery.is_linear:
        said.append(
            "<p>The score of a class is a sum to which each visual word gives its part. The words of each class stand "
            "in the order of what they give, on average over its images; <i>elsewhere</i> is the average over the "
            "images of all other classes.</p>"
        )
    else:
        said.append(
            "<p>The scores of this model are no sums over visual words. The words of each class stand in the order of "
            "how much more frequent they are among the points of its images than among those of the others.</p>"
        )
    hints = [
        "The large patch is the mean of each image's nearest patch, gray ones at one brightness and contrast; the "
        "small ones are the nearest of all, each from another image."
    ]
    if has_pairs:
        hints.append("Words that are each other's mirrors count as one word, and stand together.")
    kinds = set(gallery.weight_is.values())
    if len(kinds) == 1:
        hints.append(f"A weight is the {_WEIGHTS[kinds.pop()]}.")
    else:
        hints += [f"A weight of {escape(name)} is the {_WEIGHTS[kind]}." for name, kind in gallery.weight_is.items()]
    if most < min(n_words, per_class):
        hints.append("More words would make the page too large.")
    n_left_out = sum(not each for each in figures.values())
    if n_left_out:
        hints.append(f"So would those of {count(n_left_out)} further class{'es' * (n_left_out > 1)}.")
    said.append(f'<p class="hint">{" ".join(hints)}</p>')
    return "\n".join(said)


def _words(figures: Sequence[str]) -> str:
    return f'<div class="words">\n{"".join(figures)}\n</div>'


def _n_images(gallery: WordGallery, name: str) -> int:
    return int(gallery.n_images[gallery.classes.index(name)])


def _figure(gallery: WordGallery, word: WordUse, name: str) -> str:
    own = gallery.classes.index(name)
    looks = "\n".join(
        _patches(f"{'the mirror of ' * place}{word.name}", mean, patches)
        for place, (mean, patches) in enumerate(zip(word.means, word.patches, strict=True))
    )
    n_own, n_all = int(gallery.n_images[own]), int(gallery.n_images.sum())
    has_own, has_all = int(word.n_images[own]), int(word.n_images.sum())
    where = f"in {_share(has_own, n_own)} of its images, {_share(has_all - has_own, n_all - n_own)} of the others"
    if gallery.is_linear:
        said = f"{_signed(word.share[own])} to the score"
        weight = _weight(gallery, word, own)
        hint = f"{_signed(word.share_elsewhere[own])} elsewhere, weight {weight}; {where}"
    else:
        said, hint = f"{percent(float(word.frequency[own]))} of the points", where
    return f"""<figure class="word">
{looks}
<figcaption><b>{isolate(word.name)}</b>{said}
<span class="hint">{hint}</span></figcaption>
{_of_classes(gallery, word)}
</figure>
"""


def _patches(name: str, mean: NDArray[np.uint8] | None, patches: Sequence[WordPatch]) -> str:
    from PIL import Image

    if mean is None:
        return f'<p class="hint">{escape(name)} is in none of the images.</p>'
    n_columns = min(len(patches), _COLUMNS)
    n_rows = -(-len(patches) // n_columns)
    side = len(mean)
    sheet = np.full((n_rows * side, n_columns * side, *mean.shape[2:]), _MIDDLE_GRAY, np.uint8)
    for place, patch in enumerate(patches):
        row, column = divmod(place, n_columns)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = patch.pixels
    near = picture(Image.fromarray(sheet), f"the {len(patches)} patches nearest to {name}")
    return f"""<div class="patches">
<div class="mean">{picture(Image.fromarray(mean), f"mean patch of {name}")}</div>
<div class="near" style="--columns:{n_columns};--rows:{n_rows}">{near}</div>
</div>"""


def _of_classes(gallery: WordGallery, word: WordUse) -> str:
    """Return what a word is to each class, those first for which it matters most."""
    matters = word.share if gallery.is_linear else word.frequency
    order = np.argsort(-matters, kind="stable")
    rows = []
    for place in order[:_MOST_CLASSES]:
        row = [isolate(gallery.classes[place]), f"{count(int(word.n_images[place]))} / {gallery.n_images[place]}"]
        if gallery.is_linear:
            row += [_signed(word.share[place]), _weight(gallery, word, place)]
        else:
            row.append(percent(float(word.frequency[place])))
        rows.append(row)
    head = ["Class", "Images", *(("Score", "Weight") if gallery.is_linear else ("Of points",))]
    n_classes = len(gallery.classes)
    told = "All classes" if n_classes <= _MOST_CLASSES else f"The first {_MOST_CLASSES} of {n_classes} classes"
    content = table(head, rows, numbers=range(1, len(head)))
    return f"<details><summary>{told}</summary>\n{content}\n</details>"


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else MISSING


def _signed(value: Any) -> str:
    return _number(value, "+.3g")


def _weight(gallery: WordGallery, word: WordUse, place: int) -> str:
    """Return a word's weight for a class; one that is a length has no sign."""
    return _number(word.weight[place], ".3g" if gallery.weight_is[word.channel] == "length" else "+.3g")


def _number(value: Any, form: str) -> str:
    number = float(value)
    return MISSING if number != number else data(number, f"{number:{form}}".replace("-", "\u2212"))
