"""Strangers: images that are like none of the classes, and unlike the one that they are called.

How far an image is from a class is the distance of its vector to that of the class's images that is the nearest but for
a fifth of them: strangers of one kind are near each other, and must not vouch for each other. A class whose images
differ much has large distances, so they are measured in robust deviations from those that the class's own images have;
no unit and no density is left in them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.audit._images import LookedAt
from cvbow.audit._robust import outside
from cvbow.audit.findings import Finding

#: Of a class's images, the share that an image is nearer to than to the one whose distance counts.
_SHARE = 5
#: Robust deviations from the set's median at which an image is a stranger.
_LEAST = 2.5
#: What a probability of 0 in place of 1 counts, in deviations: an image that no class is probable for.
_UNLIKELY = 2.0
#: What counts an image in colour where hardly any is, or in gray, and how few that are.
_OTHER_COLOR, _FEW = 1.0, 0.05


def class_distances(
    squared: NDArray[np.float32], rows: NDArray[np.intp], has: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return how far some rows are from each class, (b, n_classes), by their squared distances to all images (b, n).

    ``has`` (n, n_classes) tells which images are of which class; an image does not count for itself.
    """
    found = np.full((len(rows), has.shape[1]), np.inf, np.float32)
    squared = squared.copy()
    squared[np.arange(len(rows)), rows] = np.inf
    for column, members in enumerate(has.T):
        at = np.flatnonzero(members)
        place = max(1, len(at) // _SHARE)
        if len(at) > place:
            found[:, column] = np.sqrt(np.partition(squared[:, at], place - 1, axis=1)[:, place - 1])
    return found


def find_strangers(
    images: LookedAt,
    near: NDArray[np.intp],
    distances: NDArray[np.float32],
    probabilities: NDArray[np.float64] | None,
) -> list[Finding]:
    """Return a finding for each image that is like no class.

    Parameters
    ----------
    images : LookedAt
    near : ndarray of shape (n, k)
        The nearest images of each.
    distances : ndarray of shape (n, n_classes)
        As ``class_distances`` gives them.
    probabilities : ndarray of shape (n, n_classes) or None
        Of classifiers that have not learned from the image.
    """
    far = np.full(distances.shape, np.inf)
    for column, members in enumerate(images.has.T):
        own = distances[members, column]
        if len(own) and np.isfinite(own).all():
            far[:, column] = outside(distances[:, column], own)
    if not np.isfinite(far).any(axis=1).all():
        return []
    nearest = far.min(axis=1)
    called = np.where(images.has, far, np.inf).min(axis=1)
    strange = nearest + np.where(np.isfinite(called), called, nearest)
    if probabilities is not None:
        own = np.where(images.has, probabilities, 0).max(axis=1, initial=0)
        strange += _UNLIKELY * (2 - own - probabilities.max(axis=1))
    deviations = outside(strange)
    colored = np.array([look.color for look in images.looks])
    rare = colored if colored.mean() < 0.5 else ~colored
    if rare.mean() <= _FEW:
        deviations = deviations + np.where(rare, _OTHER_COLOR, 0.0)
    found = []
    for row in np.flatnonzero(deviations >= _LEAST).tolist():
        like = int(far[row].argmin())
        why = f"It is unlike the other images: it lies {far[row, like]:+.1f} deviations farther than usual from "
        why += images.classes[like]
        if np.isfinite(called[row]) and not images.has[row, like]:
            why += f", the nearest class, and {called[row]:+.1f} from {images.label_text(row)}, as it is called"
        why += ". See whether it belongs to the set."
        score = deviations[row] / (deviations[row] + _LEAST)
        paths = (images.paths[row], *images.some_paths(near[row], 1))
        found.append(Finding("stranger", paths, float(score), images.label_text(row), "drop", why))
    return found
