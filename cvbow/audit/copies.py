"""The same picture twice: across splits, which is a leak, or within one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbow.audit._images import LookedAt
from cvbow.audit.findings import Finding
from cvbow.duplicates import DuplicatePair, Duplicates

#: The later one is held out from the earlier one.
_ORDER = {None: 0, "train": 0, "validation": 1, "test": 2}
#: What a pair counts whose labels are the same; one with different labels counts whole, as one of them is wrong.
_SAME_LABEL = 0.9


def find_same(images: LookedAt, same: Duplicates) -> list[Finding]:
    """Return a finding for each image that shows again what another one does.

    Of a group, the first image of the earliest split is the one that is kept: one to train on, if there is any.
    """
    found = []
    at = {path: row for row, path in enumerate(images.paths)}
    pairs: dict[tuple[int, int], DuplicatePair] = {}
    for pair in same.pairs:
        first, second = at[pair.first], at[pair.second]
        pairs[first, second] = pairs[second, first] = pair

    def order(row: int) -> tuple[int, int]:
        return _ORDER[images.splits[row]], row

    for group in same.groups:
        members = sorted((at[path] for path in group.paths), key=order)
        for number, row in enumerate(members[1:], 1):
            before = members[:number]
            # What a test image has in common with one to train on counts more than another test image.
            before = [other for other in before if order(other)[0] < order(row)[0]] or before
            shown = [other for other in before if (row, other) in pairs]
            best = max(shown, key=lambda other: (pairs[row, other].score, -other), default=before[0])
            found.append(_finding(images, row, best, pairs.get((row, best)), group.score))
    for names in same.links:
        kept, *others = sorted((at[path] for path in names), key=order)
        found += [_finding(images, row, kept, None, 1.0, "two names of one file, by a link") for row in others]
    return found


def groups_of(paths: Sequence[str], same: Duplicates) -> NDArray[np.intp]:
    """Return a number for each image, (n,), which those of the same picture share."""
    at = {path: row for row, path in enumerate(paths)}
    groups = np.arange(len(paths))
    # A file's other names are in no group of pictures, but its first one is.
    for names in [*(group.paths for group in same.groups), *same.links]:
        rows = [at[path] for path in names]
        groups[np.isin(groups, groups[rows])] = groups[rows].min()
    return np.asarray(groups, np.intp)


def _finding(
    images: LookedAt,
    row: int,
    other: int,
    pair: DuplicatePair | None,
    score: float,
    what: str = "the same picture, by way of another one",
) -> Finding:
    """Return the finding that an image is the same picture as another one that is kept."""
    if pair is not None:
        what, score = _in_words(pair), pair.score
    splits = images.splits[row], images.splits[other]
    is_leak = splits[0] != splits[1]
    where = f"one to {_purpose(splits[1])} and one to {_purpose(splits[0])}" if is_leak else "two images"
    why, suggested = f"{where[0].upper()}{where[1:]} are {what}.", "drop" if is_leak else "keep one"
    if images.sets[row] != images.sets[other]:
        labels = (images.label_text(place) or "no label" for place in (row, other))
        why += f" Their labels differ ({' and '.join(labels)}): one of them is wrong."
        suggested = "look"
    else:
        score *= _SAME_LABEL
    why += f" Leave it out of the {splits[0]} images." if is_leak else " Keep one of them."
    kind = "leak" if is_leak else "duplicate"
    paths = images.paths[row], images.paths[other]
    return Finding(kind, paths, score, images.label_text(row), suggested, why)


def _purpose(split: str | None) -> str:
    return {"test": "test with", "validation": "validate with"}.get(split or "", "train on")


def _in_words(pair: DuplicatePair) -> str:
    """Return how two images are the same picture, to be said after "they are"."""
    if pair.reason == "identical":
        return "the same file"
    what = "the same picture" if pair.reason == "copy" else "parts of the same picture"
    return f"{what}{f', {pair.turned}' if pair.turned else ''} (agreement {pair.score:.2f})"
