"""Stamps: what most images of a class have in one and the same place, and hardly any others.

A watermark, a time stamp, a frame, a ruler. Two photographs do not agree in the pixels of a place; so where most images
of a class agree in them with one of these images, and others do not, that is no part of what is shown. The place is
found on one half of the images and judged on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbow.audit._images import LookedAt
from cvbow.audit.appearance import Place, all_places
from cvbow.audit.findings import Finding
from cvbow.audit.shortcuts import told_apart
from cvbow.parallel import cut, run

#: A class has a stamp where so much more of its images than of the others agree in a place, at least.
_LEAST = 0.5
#: Images agree in a place whose gray values differ by so many levels, in the root of the mean square.
_RADII = (6.0, 12.0, 24.0)
#: What a class has in a place deviates from what others have there by so many levels at least, in the same measure.
_FAINT = 5.0
#: Images with which others may agree: of each class and half so many, and of all so many; of each at least two.
_OF_EACH, _OF_ALL, _AT_LEAST = 8, 120, 2
#: Places that a task looks at.
_TASK = 64
#: Images of a class that agree in anything, at least: of fewer nothing can be said.
_FEW = 8
#: Median of the shorter sides, in pixels, below which what images show fills always the same places.
_SMALL = 64
_EXAMPLES = 6


def find_stamps(images: LookedAt) -> list[Finding]:
    """Return a finding for each class most of whose images have the same in one place."""
    if images.n_classes < 1 or np.median([min(look.width, look.height) for look in images.looks]) < _SMALL:
        return []
    views = np.stack([look.views for look in images.looks])
    look = _Look(views, images.has, _halves(images.has))
    places = all_places()
    parts = [places[part] for part in cut(len(places), _TASK)]
    best: dict[tuple[int, int], _Agreed] = {}
    for found in run(look, parts, task="places", total=len(parts)):
        for key, agreed in found.items():
            if key not in best or agreed.gain > best[key].gain:
                best[key] = agreed
    findings = []
    for column, name in enumerate(images.classes):
        halves = [best[key] for key in ((column, 0), (column, 1)) if key in best]
        inside = images.has[:, column]
        # What was found on one half is judged on the other.
        n_found, n_wrong = (
            sum(int((half.rows & which & half.judged).sum()) for half in halves) for which in (inside, ~inside)
        )
        n_in, n_out = (sum(int((which & half.judged).sum()) for half in halves) for which in (inside, ~inside))
        score = told_apart(n_found, n_in, n_wrong, n_out) if halves else 0.0
        if score < _LEAST:
            continue
        first = max(halves, key=lambda half: half.gain)
        why = (
            f"{n_found / n_in:.0%} of the images of {name} have the same thing {first.where}, and {n_wrong / n_out:.1%}"
            " of the others: a stamp, a frame or a background that tells the class without its subject. Crop it off, "
            "cover it, or put it on all classes alike."
        )
        rows = np.flatnonzero(first.rows & inside)
        findings.append(Finding("shortcut", images.some_paths(rows, _EXAMPLES), score, name, None, why))
    return findings


@dataclass(frozen=True, eq=False)
class _Agreed:
    """The images, by a mask, that have in a place what most of a class have there; found without those ``judged``."""

    gain: float
    where: str
    rows: NDArray[np.bool_]
    judged: NDArray[np.bool_]


class _Look:
    """What a worker does with some places: for each class and each half, where most of its images agree; picklable."""

    def __init__(self, views: NDArray[np.uint8], has: NDArray[np.bool_], halves: NDArray[np.intp]) -> None:
        self.views, self.halves = views, halves
        n_models = max(_AT_LEAST, min(_OF_EACH, _OF_ALL // has.shape[1]))
        #: The halves of classes that are large enough: class, half, which images are in, and which of it may be models.
        self.parts: list[tuple[int, int]] = []
        inside, models, of = [], [], []
        for column in range(has.shape[1]):
            for half in (0, 1):
                members = np.flatnonzero(has[:, column] & (halves == half))
                others = int((~has[:, column] & (halves == half)).sum())
                if min(len(members), others) >= _FEW // 2:
                    chosen = members[
                        np.arange(min(n_models, len(members))) * len(members) // min(n_models, len(members))
                    ]
                    models += chosen.tolist()
                    of += [len(self.parts)] * len(chosen)
                    self.parts.append((column, half))
                    inside.append(has[:, column] & (halves == half))
        self.models, self.of = np.array(models, np.intp), np.array(of, np.intp)
        self.inside = np.array(inside, np.float32).reshape(len(self.parts), len(has))
        self.outside = (halves == np.array([half for _, half in self.parts], np.intp)[:, None]) - self.inside

    def __call__(self, places: list[Place]) -> dict[tuple[int, int], _Agreed]:
        best: dict[tuple[int, int], _Agreed] = {}
        # The part that each way to agree is about.
        parts = np.concatenate([*[self.of] * len(_RADII), np.arange(len(self.parts))])
        inside, outside = self.inside[parts], self.outside[parts]
        n_inside, n_outside = inside.sum(axis=1), outside.sum(axis=1)
        for place in places if self.parts else ():
            pixels = place.pixels(self.views)
            agree = np.concatenate([*self._with_one(pixels), self._with_the_mean(pixels)])
            counted = agree.astype(np.float32)
            ours = np.einsum("ij,ij->i", counted, inside) / n_inside
            theirs = np.einsum("ij,ij->i", counted, outside) / n_outside
            for at in np.flatnonzero(ours - theirs >= _LEAST).tolist():
                key, gain = self.parts[parts[at]], float(ours[at] - theirs[at])
                if key not in best or gain > best[key].gain:
                    best[key] = _Agreed(gain, place.where, agree[at].copy(), self.halves != key[1])
        return best

    def _with_one(self, pixels: NDArray[np.float32]) -> Iterator[NDArray[np.bool_]]:
        """Yield, for each radius, which images agree with each of some images of a part, itself not counted."""
        squares = (pixels**2).sum(axis=1)
        apart = (squares[self.models, None] + squares - 2 * (pixels[self.models] @ pixels.T)) / pixels.shape[1]
        apart[np.arange(len(self.models)), self.models] = np.inf
        for radius in _RADII:
            yield apart <= radius**2

    def _with_the_mean(self, pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which images have at least half of what a part has in a place, on average, and the others have not.

        That shows what is thin, or lets the image shine through: T. Dekel, M. Rubinstein, C. Liu and W. Freeman, "On
        the effectiveness of visible watermarks", CVPR 2017.
        """
        detail = pixels - pixels.mean(axis=1, keepdims=True)
        means = [side / side.sum(axis=1, keepdims=True) @ detail for side in (self.inside, self.outside)]
        shown = means[0] - means[1]
        strength = (shown**2).sum(axis=1, keepdims=True)
        much = strength >= _FAINT**2 * pixels.shape[1]
        return np.asarray(((shown @ detail.T) >= strength / 2) & much)


def _halves(has: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return 0 or 1 for each image: every other one of those with the same labels."""
    _, kind = np.unique(has, axis=0, return_inverse=True)
    halves = np.empty(len(has), np.intp)
    for number in range(int(kind.max()) + 1):
        rows = np.flatnonzero(kind == number)
        halves[rows] = np.arange(len(rows)) % 2
    return halves
