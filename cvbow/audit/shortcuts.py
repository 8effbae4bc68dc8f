"""Shortcuts: facts beside what an image shows that tell its class.

A model that learns from a class whose images are all PNG, or all of one camera, need not look at what they show. Each
fact is asked alone how well it tells each class from the others: an image is said to be of the class where its value of
the fact is more frequent in the class than in the others, the image itself not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.audit._images import LookedAt
from cvbow.audit.appearance import Appearance
from cvbow.audit.findings import Finding

#: A class is told by a fact whose score is at least this.
_LEAST = 0.5
#: Numbers are put into so many bins at most, by their quantiles.
_BINS = 32
#: Images of a finding.
_EXAMPLES = 6
#: Facts that the subject has a part in, such as brightness, count from here on, and where they tell a class as well as
#: all that the images show does.
_NATURAL_LEAST = 0.8
#: Colours of a border are told apart by so many levels of each channel.
_LEVELS = 4
#: Standard errors by which a share may be off.
_Z = 1.96


@dataclass(frozen=True)
class _Fact:
    """A fact of an image, by which its class should not be told."""

    name: str
    value: Callable[[Appearance], Any]
    #: How a value is said.
    said: Callable[[Any], str] = str
    #: What it counts: how unlikely it is that what an image shows has to do with it.
    weight: float = 1.0
    natural: bool = False


_FACTS = (
    _Fact("file format", lambda look: look.file.format, lambda value: value or "unknown"),
    _Fact("camera", lambda look: look.file.camera, lambda value: value or "no camera named"),
    _Fact("orientation in EXIF", lambda look: look.file.orientation),
    _Fact("colour", lambda look: look.color, lambda value: "colour" if value else "gray", 0.95),
    _Fact("width", lambda look: look.width, lambda value: f"{value:g} pixels", 0.95),
    _Fact("height", lambda look: look.height, lambda value: f"{value:g} pixels", 0.95),
    _Fact("aspect ratio", lambda look: round(look.width / look.height, 3), lambda value: f"{value:g}", 0.95),
    _Fact("file size", lambda look: look.file.n_bytes, lambda value: f"{value / 1000:.3g} kB", 0.9, natural=True),
    _Fact(
        "bytes per pixel",
        lambda look: look.file.n_bytes / (look.width * look.height),
        lambda value: f"{value:.2g}",
        0.9,
        natural=True,
    ),
    _Fact("border colour", lambda look: _level(look.border), lambda value: _color_name(value), 0.85, natural=True),
    _Fact("brightness", lambda look: look.brightness, lambda value: f"{value:.0f} of 255", 0.8, natural=True),
    _Fact("contrast", lambda look: look.contrast, lambda value: f"{value:.0f} of 255", 0.8, natural=True),
    _Fact("sharpness", lambda look: 1 - look.blur, lambda value: f"{value:.2f}", 0.8, natural=True),
)


def find_shortcuts(images: LookedAt, told: NDArray[np.float64] | None) -> list[Finding]:
    """Return a finding for each class that a fact tells, and for each fact that tells groups of classes.

    Parameters
    ----------
    images : LookedAt
    told : ndarray of shape (n_classes,) or None
        How well each class is told by what images show, as the scores here are; None where that is not known.
    """
    found: list[Finding] = []
    measured = [_measured(fact, images) for fact in _FACTS]
    for column, name in enumerate(images.classes):
        ranked = []
        for fact, (bins, values, scores) in zip(_FACTS, measured, strict=True):
            score = scores[column]
            least = _LEAST
            if fact.natural:
                least = max(_NATURAL_LEAST, 0.0 if told is None else float(told[column]))
            if score >= least:
                ranked.append((fact.weight * score, fact, bins, values))
        if ranked:
            found.append(_of_class(images, column, name, sorted(ranked, key=lambda entry: -entry[0])))
    alone = {fact.name for fact, (_, _, scores) in zip(_FACTS, measured, strict=True) if (scores >= _LEAST).any()}
    for fact, (bins, values, _) in zip(_FACTS, measured, strict=True):
        if not fact.natural and fact.name not in alone and not images.multilabel:
            found += _of_groups(images, fact, bins, values)
    return found


def _measured(fact: _Fact, images: LookedAt) -> tuple[NDArray[np.intp], list[Any], NDArray[np.float64]]:
    """Return the bin of each image, the values of the fact, and how well it tells each class."""
    values = [fact.value(look) for look in images.looks]
    bins = binned(values)
    return bins, values, np.array([one_against_rest(bins, images.has[:, column]) for column in range(images.n_classes)])


def binned(values: list[Any]) -> NDArray[np.intp]:
    """Return a number for each value (n,): equal ones, and of many different numbers near ones, have the same."""
    distinct, index = np.unique(np.array(values), return_inverse=True)
    if len(distinct) <= _BINS or distinct.dtype.kind not in "iuf":
        return np.asarray(index, np.intp)
    ordered = np.sort(np.array(values, np.float64))
    edges = np.unique(ordered[np.arange(1, _BINS) * len(ordered) // _BINS])
    # A value that many images have is a bin of its own.
    frequent = distinct[np.bincount(index) * _BINS >= len(ordered)].astype(np.float64)
    edges = np.unique(np.concatenate([edges, frequent, np.nextafter(frequent, np.inf)]))
    return np.asarray(np.searchsorted(edges, np.array(values, np.float64), side="right"), np.intp)


def one_against_rest(bins: NDArray[np.intp], inside: NDArray[np.bool_]) -> float:
    """Return how well bins (n,) tell those that are `inside` a class from the others, 0 to 1.

    The share of the class that is found, less the share of the others that are taken for it, each at the worse end of
    its confidence interval, so that few images count for little. An image is judged by all others.
    """
    n_in, n_out = int(inside.sum()), int((~inside).sum())
    if n_in < 2 or n_out < 2:
        return 0.0
    counted_in = np.bincount(bins[inside], minlength=bins.max() + 1)
    counted_out = np.bincount(bins[~inside], minlength=bins.max() + 1)
    own = np.where(inside, (counted_in[bins] - 1) / (n_in - 1), counted_in[bins] / n_in)
    other = np.where(inside, counted_out[bins] / n_out, (counted_out[bins] - 1) / (n_out - 1))
    said = own > other
    return told_apart(int(said[inside].sum()), n_in, int(said[~inside].sum()), n_out)


def told_apart(n_found: int, n_in: int, n_wrong: int, n_out: int) -> float:
    """Return the share that is found less the share that is wrong, each at the worse end of its interval, 0 to 1."""
    return max(0.0, _wilson(n_found, n_in, -1) - _wilson(n_wrong, n_out, 1))


def _wilson(n: int, of: int, sign: int) -> float:
    """Return an end of the interval of a share: E. Wilson, "Probable inference", JASA 1927."""
    share = n / of
    middle = share + _Z**2 / (2 * of)
    spread = _Z * np.sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2))
    return float((middle + sign * spread) / (1 + _Z**2 / of))


def _of_class(
    images: LookedAt, column: int, name: str, ranked: list[tuple[float, _Fact, NDArray[np.intp], list[Any]]]
) -> Finding:
    """Return the finding about a class, by the fact that tells it best; others that do so as well are named."""
    score, fact, bins, values = ranked[0]
    inside = images.has[:, column]
    counts_in, counts_out = (np.bincount(bins[which], minlength=bins.max() + 1) for which in (inside, ~inside))
    usual = counts_in / inside.sum() > counts_out / (~inside).sum()
    typical = int(np.argmax(np.where(usual, counts_in, -1)))
    rows = np.flatnonzero(inside & (bins == typical))
    shared = [values[row] for row in np.flatnonzero(usual[bins])]
    share_in, share_out = usual[bins[inside]].mean(), usual[bins[~inside]].mean()
    why = (
        f"The {fact.name} alone tells {name}: {_range(fact, shared)} for {share_in:.0%} of its images and "
        f"{share_out:.1%} of the others."
    )
    if len(ranked) > 1:
        others = ", ".join(other.name for _, other, _, _ in ranked[1:])
        why += f" So {'do' if len(ranked) > 2 else 'does'} {others}."
    why += f" {_ADVICE.get(fact.name, _ADVICE_OTHERWISE)}"
    return Finding("shortcut", images.some_paths(rows, _EXAMPLES), min(score, 1.0), name, None, why)


_ADVICE = {
    "file format": "Save all images in one format, with the same settings.",
    "camera": "Take images of all classes with each camera, or judge the model on images of another one.",
    "orientation in EXIF": "Save all images upright.",
    "colour": "Bring all images to gray, or to colour.",
    "width": "Bring all images to one size before they are compressed.",
    "height": "Bring all images to one size before they are compressed.",
    "aspect ratio": "Crop all images to one shape.",
    "file size": "Save all images in one format, with the same settings.",
    "bytes per pixel": "Save all images in one format, with the same settings.",
}
_ADVICE_OTHERWISE = "If the subject is not the reason, make the images of all classes under the same conditions."


def _range(fact: _Fact, values: list[Any]) -> str:
    """Return the values in words: one, a few, or from the least to the largest."""
    distinct = sorted(set(values))
    if len(distinct) <= 3:
        return " or ".join(fact.said(value) for value in distinct)
    if isinstance(distinct[0], int | float):
        low, high = np.quantile(np.array(values, np.float64), (0.05, 0.95))
        return f"mostly {fact.said(low)} to {fact.said(high)}"
    return f"{fact.said(distinct[0])} and {len(distinct) - 1} others"


def _of_groups(images: LookedAt, fact: _Fact, bins: NDArray[np.intp], values: list[Any]) -> list[Finding]:
    """Return a finding if each class has its own values of a fact, though several classes share them."""
    table = np.zeros((images.n_classes, int(bins.max()) + 1))
    np.add.at(table, (images.index, bins), 1)
    score = fact.weight * shared_information(table)
    if score < _LEAST:
        return []
    usual = table.argmax(axis=1)
    groups: dict[int, list[str]] = {}
    for column, at in enumerate(usual.tolist()):
        groups.setdefault(at, []).append(images.classes[column])
    parts, rows = [], []
    for at, names in sorted(groups.items(), key=lambda item: -len(item[1]))[:3]:
        members = np.flatnonzero(bins == at)
        parts.append(f"{_range(fact, [values[row] for row in members])} for {_listed(names)}")
        rows.append(int(members[0]))
    why = f"The {fact.name} tells groups of classes: {'; '.join(parts)}. {_ADVICE.get(fact.name, _ADVICE_OTHERWISE)}"
    return [Finding("shortcut", images.some_paths(np.array(rows), _EXAMPLES), min(score, 1.0), None, None, why)]


def shared_information(table: NDArray[np.float64]) -> float:
    """Return what counts (n_classes, n_bins) of a fact and of the class say of each other, 0 to 1.

    Their mutual information over the smaller of their entropies, less what chance gives on average.
    """
    total = table.sum()
    joint = table / total
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    least = min(_entropy(rows), _entropy(columns))
    if least <= 0:
        return 0.0
    information = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    chance = ((rows > 0).sum() - 1) * ((columns > 0).sum() - 1) / (2 * total)
    return float(max(0.0, information - chance) / least)


def _entropy(shares: NDArray[np.float64]) -> float:
    kept = shares[shares > 0]
    return float(-(kept * np.log(kept)).sum())


def _listed(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _level(color: tuple[float, float, float]) -> str:
    return "".join(str(min(int(value * _LEVELS / 256), _LEVELS - 1)) for value in color)


def _color_name(level: str) -> str:
    return "#" + "".join(f"{round((int(digit) + 0.5) * 256 / _LEVELS):02x}" for digit in level)
