"""Labels that are likely wrong, by confident learning.

C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 2021. How
many labels are wrong is estimated by the confident joint: an image counts as one of a class where that is as probable
as it is, on average, for the images that are called so. Those so many images whose own labels are the least probable
are listed (the paper's pruning by self-confidence, over all classes at once).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbow.audit._images import BETWEEN, LookedAt
from cvbow.audit._nearest import nearest_within, squared_distances
from cvbow.audit.findings import Finding

#: Of a class with fewer images there is too little to know it by.
_FEW = 5


def find_labels(
    images: LookedAt, probabilities: NDArray[np.float64], groups: NDArray[np.intp]
) -> tuple[list[Finding], dict[str, tuple[str, str]]]:
    """Return a finding for each image whose label is likely wrong, and its nearest images of both labels.

    Parameters
    ----------
    images : LookedAt
    probabilities : ndarray of shape (n, n_classes)
        Of classifiers that have not learned from the image, calibrated.
    groups : ndarray of shape (n,)
        Images of one group are the same picture, and no neighbours of each other.
    """
    found: list[Finding] = []
    near: dict[str, tuple[str, str]] = {}
    if images.multilabel:
        suggestions = _changes(images.has, probabilities)
    else:
        suggestions = [
            (row, [int(images.index[row]), int(probabilities[row].argmax())])
            for row in wrong_labels(probabilities, images.index).tolist()
            if images.has[:, images.index[row]].sum() >= _FEW
        ]
    rows = np.array([row for row, _ in suggestions], np.intp)
    changes = iter(suggestions)
    for _, squared in squared_distances(images.vectors, rows):
        for distances in squared:
            row, changed = next(changes)
            after = images.has[row].copy()
            after[changed] = ~after[changed]
            old, new = [at for at in changed if not after[at]], [at for at in changed if after[at]]
            found.append(_finding(images, row, old, new, probabilities[row], after))
            given = images.has[:, old].any(axis=1) if old else ~images.has[:, new].any(axis=1)
            instead = images.has[:, new].any(axis=1) if new else ~images.has[:, old].any(axis=1)
            others = groups != groups[row]
            pair = nearest_within(distances, given & others), nearest_within(distances, instead & others)
            if pair[0] is not None and pair[1] is not None:
                near[images.paths[row]] = images.paths[pair[0]], images.paths[pair[1]]
    return found, near


def doubts_of(images: LookedAt, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how doubtful the label of each image is, (n,), 0 to 1: how improbable it is.

    Of several labels the one counts that is the most doubtful, be it given or not.
    """
    doubts = np.where(images.has, 1 - probabilities, probabilities if images.multilabel else 0)
    return np.asarray(doubts.max(axis=1), np.float64)


def wrong_labels(probabilities: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows whose labels are likely wrong, the surest first.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
    labels : ndarray of shape (n,)
        Columns of it.

    Returns
    -------
    ndarray of intp
        None whose label is the most probable one.
    """
    n = len(labels)
    own = probabilities[np.arange(n), labels]
    doubted = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = doubted[np.argsort(own[doubted], kind="stable")]
    joint = confident_joint(probabilities, labels)
    return np.asarray(order[: round(n * float(1 - np.trace(joint)))], np.intp)


def confident_joint(probabilities: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the estimated shares of images that are called by row and are by column, (n_classes, n_classes)."""
    n, k = probabilities.shape
    counts = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, probabilities[np.arange(n), labels], minlength=k)
    # No image is confidently of a class that no image is called.
    thresholds = np.divide(sums, counts, out=np.full(k, np.inf), where=counts > 0)
    confident = np.where(probabilities >= thresholds, probabilities, 0.0)
    rows = np.flatnonzero(confident.any(axis=1))
    joint = np.zeros((k, k))
    np.add.at(joint, (labels[rows], confident[rows].argmax(axis=1)), 1)
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1
    # Each class has as many images as are called so.
    joint *= (counts / joint.sum(axis=1))[:, None]
    return np.asarray(joint / n)


def _changes(has: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> list[tuple[int, list[int]]]:
    """Return the rows some of whose labels are likely wrong, with the columns to change, label by label."""
    columns: dict[int, list[int]] = {}
    for column in np.flatnonzero(has.sum(axis=0) >= _FEW).tolist():
        two = np.stack([1 - probabilities[:, column], probabilities[:, column]], axis=1)
        for row in wrong_labels(two, has[:, column].astype(np.intp)).tolist():
            columns.setdefault(row, []).append(column)
    return sorted(columns.items())


def _finding(
    images: LookedAt,
    row: int,
    old: list[int],
    new: list[int],
    probabilities: NDArray[np.float64],
    after: NDArray[np.bool_],
) -> Finding:
    """Return the finding that an image should lose the labels ``old`` and get the labels ``new``."""
    doubts = [(float(1 - probabilities[column]), column) for column in old]
    doubts += [(float(probabilities[column]), column) for column in new] if images.multilabel else []
    names = images.classes
    suggested = BETWEEN.join(name for name, kept in zip(names, after, strict=True) if kept)
    if images.multilabel:
        parts = [f"{names[column]} is {probabilities[column]:.0%} probable and given" for column in old]
        parts += [f"{names[column]} is {probabilities[column]:.0%} probable and not given" for column in new]
        why = f"Going by the other images, {'; '.join(parts)}. Look at it, and correct its labels."
    else:
        (given,), (instead,) = old, new
        why = (
            f"Going by the other images, {names[instead]} is {probabilities[instead]:.0%} probable "
            f"and {names[given]}, as it is called, {probabilities[given]:.0%}. Correct its label, or leave it."
        )
    return Finding("label", (images.paths[row],), max(doubts)[0], images.label_text(row), suggested or None, why)
