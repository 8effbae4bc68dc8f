"""What was found: pairs of images that are the same picture, and the groups that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvbow.errors import ImageError

#: Two positions, the smaller one first.
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class DuplicatePair:
    """Two images that are the same picture.

    Attributes
    ----------
    first, second : str
        What the index knows them by, or their paths, in the order in which they were given.
    reason : {"identical", "copy", "part"}
        The same bytes; the same picture at another size or compression; or one of them, or each, shows a part of the
        other.
    score : float
        Correlation of the details of both where they overlap, 0 to 1; 1 for the same bytes.
    overlap : tuple of float
        What share of the first one's area the second one shows, and the other way round.
    n_inliers : int or None
        Features that agree with the map between them; None where the pair was found without features.
    difference : float
        Of brightness or colour where they differ most: 0 to 1 or more; 0 for the same bytes.
    turned : str
        What was done to the first one to make the second: empty where both lie the same way, else "mirrored" (left to
        right), "turned by 90 degrees" (180, 270; clockwise), or "mirrored and turned by 90 degrees" (180, 270).

    Examples
    --------
    >>> from cvbow.duplicates import DuplicatePair
    >>> pair = DuplicatePair("a.jpg", "a-small.jpg", "copy", score=0.97, overlap=(1.0, 1.0), n_inliers=120)
    >>> pair.reason, pair.overlap, pair.turned
    ('copy', (1.0, 1.0), '')
    """

    first: str
    second: str
    reason: str
    score: float
    overlap: tuple[float, float]
    n_inliers: int | None
    difference: float = 0.0
    turned: str = ""


@dataclass(frozen=True, eq=False)
class DuplicateGroup:
    """Images that are joined by pairs.

    Attributes
    ----------
    paths : tuple of str
        In the order in which the images were given, or the index's.
    pairs : tuple of DuplicatePair
        Those that were found; not every two images of a group need be one.
    score : float
        The lowest of its pairs.

    Examples
    --------
    >>> from cvbow.duplicates import DuplicateGroup, DuplicatePair
    >>> pair = DuplicatePair("a.jpg", "a-cut.jpg", "part", score=0.97, overlap=(0.8, 1.0), n_inliers=120)
    >>> group = DuplicateGroup(("a.jpg", "a-cut.jpg"), (pair,), score=pair.score)
    >>> len(group.paths)
    2
    """

    paths: tuple[str, ...]
    pairs: tuple[DuplicatePair, ...]
    score: float


@dataclass(frozen=True, eq=False)
class Duplicates:
    """What ``find_duplicates`` or ``find_copies`` found.

    Attributes
    ----------
    groups : list of DuplicateGroup
        The largest first, equally large ones in the order of the images.
    n_images : int
        Images that were looked at.
    links : list of tuple of str
        Names of one file each, through symbolic or hard links: nothing that could be deleted twice. The first one, no
        symbolic link if there is another, stands for the file in `groups`; the others are in none.
    unseen : list of ImageError
        Images that have no file, or one that cannot be read: for them only the same bytes were looked for.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow import ImageIndex
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.duplicates import find_duplicates
    >>> from cvbow.retrieval import ImageVectors
    >>> red, blue = (np.full((8, 8, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))
    >>> describer = ImageVectors(ColorHistogram(), whiten=False).fit([red])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ImageIndex.build(pathlib.Path(folder, "index"), describer) as index:
    ...         _ = index.add([red, red, blue], names=["red", "again", "blue"])
    ...         found = find_duplicates(index)
    >>> [group.paths for group in found.groups], found.n_images
    ([('red', 'again')], 3)
    """

    groups: list[DuplicateGroup]
    n_images: int
    links: list[tuple[str, ...]]
    unseen: list[ImageError]

    @property
    def n_files(self) -> int:
        """Images that were looked at, a file of several names counted once."""
        return self.n_images - sum(len(names) - 1 for names in self.links)

    @property
    def pairs(self) -> list[DuplicatePair]:
        """The pairs of all groups."""
        return [pair for group in self.groups for pair in group.pairs]


def groups_of(names: Sequence[str], pairs: Mapping[Pair, DuplicatePair]) -> list[DuplicateGroup]:
    """Return the images that pairs of positions connect, the largest groups first."""
    leader: dict[int, int] = {}

    def leader_of(at: int) -> int:
        while leader.setdefault(at, at) != at:
            leader[at] = at = leader[leader[at]]
        return at

    for a, b in pairs:
        first, second = sorted((leader_of(a), leader_of(b)))
        leader[second] = first
    members: dict[int, list[int]] = {}
    for at in sorted(leader):
        members.setdefault(leader_of(at), []).append(at)
    inside: dict[int, list[DuplicatePair]] = {}
    for a, b in sorted(pairs):
        inside.setdefault(leader_of(a), []).append(pairs[a, b])
    groups = [
        DuplicateGroup(
            tuple(names[at] for at in positions), tuple(inside[first]), min(pair.score for pair in inside[first])
        )
        for first, positions in members.items()
    ]
    return sorted(groups, key=lambda group: -len(group.paths))
