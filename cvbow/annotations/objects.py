"""The objects of one image, and those of many.

A pixel i spans from i to i + 1, so that a box of whole pixels, from the first to the one after the last, has their
number for its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow.annotations.boxes import check_boxes
from cvbow.images import natural_key
from cvbow.tables import Table, Tabular


@dataclass(frozen=True, eq=False, repr=False)
class Objects(Tabular):
    """The objects of one image: those that somebody marked, or that were found; make one with ``Objects.of``.

    Attributes
    ----------
    boxes : ndarray of shape (n, 4), float64
        xmin, ymin, xmax and ymax in pixels, where pixel i spans from i to i + 1: the width is xmax - xmin, above zero.
        They may reach out of the image.
    classes : ndarray of shape (n,), str
    scores : ndarray of shape (n,), float64
        Finite; 1 for what was marked.
    ignored : ndarray of shape (n,), bool
        What is neither to be found nor a mistake: COCO's crowds, VOC's difficult objects.

    Examples
    --------
    >>> from cvbow import Objects
    >>> objects = Objects.of([[10, 20, 110, 80], [60, 30, 160, 90]], ["dog", "cat"])
    >>> len(objects), objects.within(100, 100).boxes.tolist()
    (2, [[10.0, 20.0, 100.0, 80.0], [60.0, 30.0, 100.0, 90.0]])
    >>> objects.as_json()[1]
    {'class': 'cat', 'score': 1.0, 'xmin': 60.0, 'ymin': 30.0, 'xmax': 160.0, 'ymax': 90.0}
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.str_]
    scores: NDArray[np.float64]
    ignored: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Check that the arrays go together, and that boxes have an area."""
        n = len(self.boxes)
        if self.boxes.shape != (n, 4):
            raise ValueError(f"boxes must have the shape (n, 4), got {self.boxes.shape}")
        for name, values in (("classes", self.classes), ("scores", self.scores), ("ignored", self.ignored)):
            if values.shape != (n,):
                raise ValueError(f"{name} must be one for each of the {n} boxes, got shape {values.shape}")
        bad = np.flatnonzero(
            ~np.isfinite(self.boxes).all(axis=1) | (self.boxes[:, 2:] <= self.boxes[:, :2]).any(axis=1)
        )
        if len(bad):
            raise ValueError(f"boxes must be finite, with xmin < xmax and ymin < ymax, got {told(self.boxes[bad[0]])}")
        if not np.isfinite(self.scores).all():
            raise ValueError("scores must be finite, got NaN or infinity")

    @classmethod
    def of(
        cls,
        boxes: ArrayLike = (),
        classes: str | Sequence[Any] | NDArray[Any] = (),
        scores: ArrayLike | None = None,
        ignored: ArrayLike | None = None,
    ) -> Self:
        """Make objects of what can be turned into arrays; without arguments, those of an image that has none.

        Parameters
        ----------
        boxes : array-like of shape (n, 4)
        classes : str or sequence of n labels
            A text stands for the class of all.
        scores : array-like of shape (n,), optional
        ignored : array-like of shape (n,), optional

        Raises
        ------
        ValueError
            If lengths differ, a box has no area, or something is not finite.
        """
        given = check_boxes("boxes", boxes).copy()
        n = len(given)
        names = [classes] * n if isinstance(classes, str) else [str(name) for name in classes]
        return cls(
            given,
            np.array(names, np.str_).reshape(len(names)),
            np.ones(n) if scores is None else np.array(scores, np.float64),
            np.zeros(n, np.bool_) if ignored is None else np.array(ignored, np.bool_),
        )

    @classmethod
    def joined(cls, parts: Sequence[Objects]) -> Self:
        """Return the objects of all parts together."""
        every: list[Objects] = [cls.of(), *parts]
        columns = zip(*((part.boxes, part.classes, part.scores, part.ignored) for part in every), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Objects({len(self)} of {', '.join(self.labels) or 'no class'})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct classes in natural order."""
        return tuple(sorted(set(self.classes.tolist()), key=natural_key))

    def take(self, rows: ArrayLike) -> Objects:
        """Return some of the objects, in the order of ``rows``: their positions, or a mask of (n,) bool."""
        at = np.asarray(rows)
        at = at if at.size else np.zeros(0, np.intp)
        return Objects(self.boxes[at], self.classes[at], self.scores[at], self.ignored[at])

    def within(self, width: int, height: int) -> Objects:
        """Return the objects with their boxes cut to the image.

        Parameters
        ----------
        width, height : int
            Of the image, in pixels.

        Raises
        ------
        ValueError
            If a box lies wholly outside of the image.
        """
        cut = np.clip(self.boxes, 0, [width, height, width, height])
        outside = np.flatnonzero((cut[:, 2:] <= cut[:, :2]).any(axis=1))
        if len(outside):
            row = outside[0]
            raise ValueError(
                f"boxes must lie on the image, which has {width} x {height} pixels, got a {self.classes[row]} at "
                f"{told(self.boxes[row])}"
            )
        return Objects(cut, self.classes, self.scores, self.ignored)

    def tables(self) -> list[Table]:
        """Return a row for each object: its class, score and box."""
        boxes = [[f"{value:g}" for value in box] for box in self.boxes.round(1).tolist()]
        named = zip(self.classes.tolist(), self.scores.tolist(), boxes, strict=True)
        rows = [(name, f"{score:.3f}", *box) for name, score, box in named]
        return [Table(("class", "score", "xmin", "ymin", "xmax", "ymax"), rows)]

    def as_json(self) -> list[dict[str, Any]]:
        """Return them as JSON values, one for each object: class, score, xmin, ymin, xmax, ymax."""
        return [
            {"class": name, "score": score, **dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))}
            for name, score, box in zip(self.classes.tolist(), self.scores.tolist(), self.boxes.tolist(), strict=True)
        ]


@dataclass(frozen=True, eq=False, repr=False)
class ObjectList:
    """Images with what is marked on each, or found in it.

    Attributes
    ----------
    paths : tuple of Path
    objects : tuple of Objects
        One per path; an image may have none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow import Objects
    >>> from cvbow.annotations import ObjectList
    >>> marked = Objects.of([[10, 20, 110, 80], [60, 30, 160, 90]], ["dog", "cat"])
    >>> images = ObjectList((Path("1.jpg"), Path("2.jpg")), (marked, Objects.of()))
    >>> images.classes, images.labels
    (('cat', 'dog'), (('cat', 'dog'), ()))
    """

    paths: tuple[Path, ...]
    objects: tuple[Objects, ...]

    def __post_init__(self) -> None:
        """Check that the two tuples run in parallel."""
        if len(self.paths) != len(self.objects):
            lengths = f"{len(self.paths)} and {len(self.objects)}"
            raise ValueError(f"paths and objects must have one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"ObjectList({self.n_objects} objects on {len(self)} images, {len(self.classes)} classes)"

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct classes of all images, in natural order."""
        return tuple(sorted({name for labels in self.labels for name in labels}, key=natural_key))

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """The distinct classes of each image, in natural order: what a classifier of many labels learns."""
        return tuple(objects.labels for objects in self.objects)

    @property
    def n_objects(self) -> int:
        """How many there are on all images together."""
        return sum(map(len, self.objects))


def told(box: NDArray[np.float64]) -> str:
    """Return a box (4,) as it is told in a message."""
    return "({:g}, {:g}, {:g}, {:g})".format(*box)
