"""The page of explanations: what classes are recognised by, and of each image what speaks for its class and against."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int
from cvbow.classify import ImageClassifier
from cvbow.errors import ImageError
from cvbow.explanation import ClassReasons, Explanation, MeanWord, Recognition, WordShare, shown_image
from cvbow.explanation.heat_colors import densities, full_color
from cvbow.images import from_unit
from cvbow.report._canvas import display
from cvbow.report._figure_groups import FigureGroups
from cvbow.report._heat import draw_heat, heat_maps, scale, signed
from cvbow.report._html import breakable, count, isolate, page, picture, section, write_page
from cvbow.report.explanation import telling_words
from cvbow.tables import counted

#: Bytes of the figures, at most: with the rest of the page less than 15 MB.
LIMIT = 14_000_000
_OF_CLASSES = (
    "<p>The means over all images that a class was explained for, stretched to a square. What they have in one place, "
    "such as a border or a time stamp, shows in the mean heat; the words are those of the largest mean share, with "
    "patches of the images in which they gave most.</p>"
)
_OF_IMAGES = (
    "<p>What is orange speaks for the class, what is blue against it. A score is the sum of what the image gave and of "
    "what the model gives by itself.</p>"
)
#: Patches of a word.
_N_PATCHES = 4
#: Longest side of pictures, and side of patches, in pixels.
_SIDE, _PATCH = 192, 48
_SOFT_GRAY = 236
_HOW = {"exact": "", "mean gradient": ", by the mean gradient", "leaving out": ", by leaving parts out"}


def write_explanation_page(
    path: str | os.PathLike[str],
    model: ImageClassifier,
    explained: Iterable[tuple[NDArray[np.uint8], Explanation]],
    *,
    title: str,
    limit: int = LIMIT,
) -> None:
    """Write explanations as one HTML page that needs no other file and no network.

    Of each it has the image, heat for and against, and the words that gave most with their patches in the image; of
    each class that several images were explained for, what it is recognised by: the mean heat, and the words of the
    largest mean share, with patches of the images in which they gave most.

    Parameters
    ----------
    path : path
        The page, written whole or not at all.
    model : ImageClassifier
        That was explained; it reads the images that patches are of.
    explained : iterable of (image, Explanation)
        Images (H, W) or (H, W, 3), uint8, of the size of the heat, as ``cvbow.explanation.shown_image`` gives them.
    title : str
        Heading of the page.
    limit : int, default 14,000,000
        Bytes of all figures, at most, half of them for classes: where they would be more, images of the most frequent
        classes are left out, and the page says so. What classes are recognised by is of all images.

    Raises
    ------
    ValueError
        If the path does not end in .html or .htm, or an image is not of the size of its heat.
    FileNotFoundError, PermissionError, IsADirectoryError
        Where the folder of `path` is missing or read-only, or `path` is a folder.
    """
    check_int("limit", limit, minimum=1)
    seen, images, n_explained = Recognition(), FigureGroups(limit), 0
    for image, why in explained:
        seen.add(image, why)
        images.add(_name(why.class_name, why.against), _image(image, why))
        n_explained += 1
    classes = seen.classes()
    means = FigureGroups(limit // 2)
    several = [reasons for reasons in classes if reasons.n_images > 1]
    for reasons in several:
        means.add(_name(reasons.class_name, reasons.against), _class(model, reasons))
    images.shrink(limit - means.size)
    totals = {_name(reasons.class_name, reasons.against): reasons.n_images for reasons in classes}
    sections = []
    if means.groups:
        some = _some(len(means.all()), len(several), "classes")
        content = f'{_OF_CLASSES}{some}\n<div class="reasons">\n{"".join(means.all())}</div>'
        sections.append(section("classes", "What classes are recognised by", content))
    parts = [_OF_IMAGES + _some(len(images.all()), n_explained, "explanations")]
    for name, total in totals.items():
        figures = images.groups.get(name, [])
        if figures:
            hint = count(total) if len(figures) == total else f"{count(len(figures))} of {count(total)}"
            parts.append(f'<h3>{name} <span class="hint">{hint}</span></h3>')
            parts.append(f'<div class="reasons">\n{"".join(figures)}</div>')
    sections.append(section("images", "Images", "\n".join(parts)))
    numbers = (("Explanations", n_explained), ("Classes", len(classes)))
    body = "\n".join(f"<div><dt>{name}</dt><dd>{count(number)}</dd></div>" for name, number in numbers)
    write_page(path, page(title, f'<dl class="figures">\n{body}\n</dl>', sections))


def _some(n_shown: int, number: int, what: str) -> str:
    if n_shown == number:
        return ""
    return f"\n<p>{count(n_shown)} of {count(number)} {what}: more would make the page too large.</p>"


def _image(image: NDArray[np.uint8], why: Explanation) -> str:
    parts = [f"{signed(why.heat_sum)} from the image, {signed(why.bias)} from the model alone"]
    if abs(why.remainder) >= 0.0005:
        parts.append(f"{signed(why.remainder)} not shared out")
    said = f"<b>{_name(why.class_name, why.against)}</b> {signed(why.score)}"
    words = "".join(
        _words(
            f"{'for' if of_class else 'against'} {isolate(why.class_name)}",
            [
                (
                    word,
                    [image[top:bottom, left:right] for left, top, right, bottom in word.boxes[:_N_PATCHES]],
                    counted(word.n_points, "point"),
                )
                for word in telling_words(why.words, of_class)
            ],
        )
        for of_class in (True, False)
    )
    return f"""<figure class="reason">
<figcaption>{said}
<span class="path">{breakable(why.path or "image")}</span></figcaption>
{heat_maps(image, [why], _SIDE)}
<p class="hint">{", ".join(parts)}{_HOW[why.method]}</p>
{words}{_nearest(why)}
</figure>
"""


def _class(model: ImageClassifier, reasons: ClassReasons) -> str:
    from PIL import Image

    image = from_unit(reasons.image)
    density = densities(reasons.heat)
    full = full_color(density)
    shown, _ = display(image, _SIDE, _SIDE)
    heat = draw_heat(image, density, full, (_SIDE, _SIDE))
    words = "".join(
        _words(
            f"{'for' if of_class else 'against'} {isolate(reasons.class_name)}",
            [
                (word, _cut(model, word), f"in {count(word.n_images)} of {counted(reasons.n_images, 'image')}")
                for word in telling_words(reasons.words, of_class)
            ],
        )
        for of_class in (True, False)
    )
    total = signed(float(reasons.heat.sum()))
    return f"""<figure class="reason">
<figcaption><b>{_name(reasons.class_name, reasons.against)}</b> {counted(reasons.n_images, "image")}</figcaption>
<div class="maps" style="--columns:2">
<div>{picture(Image.fromarray(shown), f"mean image, {reasons.class_name}")}<p>mean image</p></div>
<div>{picture(Image.fromarray(heat), f"mean heat for {reasons.class_name}")}<p>mean heat: {total}</p></div>
</div>
{scale(full)}
{words}
</figure>
"""


def _name(class_name: str, against: str | None) -> str:
    return isolate(class_name) + ("" if against is None else f", not {isolate(against)}")


def _words(title: str, words: Sequence[tuple[WordShare, Sequence[NDArray[np.uint8]], str]]) -> str:
    """Return words with patches of theirs, and what more is said of each."""
    if not words:
        return ""
    rows = "\n".join(
        f"<div>{_strip(patches, word.name)}<p>{isolate(word.name)} {signed(word.share)}, {said}</p></div>"
        for word, patches, said in words
    )
    return f'<p class="hint">Words {title}</p>\n<div class="strips">\n{rows}\n</div>\n'


def _strip(patches: Sequence[NDArray[np.uint8]], name: str) -> str:
    """Return patches beside each other, as one picture."""
    from PIL import Image

    if not patches:
        return ""
    sheet = np.full((_PATCH, len(patches) * _PATCH, 3), _SOFT_GRAY, np.uint8)
    for place, patch in enumerate(patches):
        shown, _ = display(patch, _PATCH, _PATCH, enlarge=_PATCH)
        height, width = shown.shape[:2]
        sheet[:height, place * _PATCH : place * _PATCH + width] = shown
    return picture(Image.fromarray(sheet), f"patches of {name}")


def _cut(model: ImageClassifier, word: MeanWord) -> list[NDArray[np.uint8]]:
    """Return the patches of a class's word from their images, as far as these can still be read."""
    patches: list[NDArray[np.uint8]] = []
    for path, (left, top, right, bottom) in zip(word.paths, word.boxes, strict=True):
        if len(patches) == _N_PATCHES:
            break
        try:
            patch = shown_image(model, path)[top:bottom, left:right] if path is not None else None
        except (ImageError, FileNotFoundError):
            continue
        if patch is not None and patch.size:
            patches.append(patch)
    return patches


def _nearest(why: Explanation) -> str:
    from PIL import Image

    if not why.nearest:
        return ""
    shown = "\n".join(
        f"<div>{picture(Image.fromarray(near.thumbnail), f'a training image of {near.class_name}')}"
        f"<p>{isolate(near.class_name)} {near.distance:.2g}</p></div>"
        for near in why.nearest
    )
    return f'<p class="hint">Nearest training images</p>\n<div class="strips near-images">\n{shown}\n</div>\n'
