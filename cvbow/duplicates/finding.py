"""Near-duplicates: groups of images that are the same picture, whatever their size, compression and margins.

Candidates come from three places: the index's own ranking of every image (Chum, Philbin and Zisserman, "Near duplicate
image detection: min-hash and tf-idf weighting", BMVC 2008, find them in the words, too), thumbnails that are alike as a
whole, and, for images with hardly any features, thumbnails that are alike in part. Whatever proposes a pair, its
thumbnails decide, laid upon each other by the map that was found; what they take for one picture is looked at closer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbow._checks import check_int, check_real
from cvbow.duplicates._candidates import Pair, alike, alike_in_part, best_windows, ranked
from cvbow.duplicates.closer_look import largest_difference
from cvbow.duplicates.thumbnails import SIDE, agreement, gray_thumbnail, thumbnail_map, window_map
from cvbow.errors import ImageError
from cvbow.images import read_image, reading_as
from cvbow.parallel import effective_jobs, prefetched, progress, run, single_threaded
from cvbow.retrieval.verification import Verification, verify

if TYPE_CHECKING:
    from cvbow.index.image_index import ImageIndex

#: What a pair must have, by default: the agreement of its details, the share of each image that the other one shows.
MIN_SCORE, MIN_OVERLAP = 0.75, 0.5
#: A part, which may lie anywhere, must agree by more than a whole picture: two photographs that were taken one after
#: the other reach 0.93, and 99 of 100 copies 0.95.
MIN_PART_SCORE = 0.94
#: Where two images differ most, they may differ by so much. Copies that were resized, cropped or compressed do by less
#: than 0.3, brightened ones by 0.42; of those with other colours, or another patch of a tenth of the side, 19 in 20 by
#: more than 0.48.
MAX_DIFFERENCE = 0.45
#: The gray values of a pair correlate by at least this, whatever its details say.
_MIN_SIMILARITY = 0.95
#: Fewer inliers than a ranking asks for: the thumbnails have the last word.
_MIN_INLIERS = 4
#: Bits in which the signatures of a feature and of its copy may differ.
_MAX_HAMMING = 20
#: Two images that show at least this much of each other show the same, but for a rim.
_WHOLE = 0.97
#: Pairs that a task of a worker looks at.
_TASK = 256


@dataclass(frozen=True, eq=False)
class DuplicatePair:
    """Two images that are the same picture.

    Attributes
    ----------
    first, second : str
        What the index knows them by, in its order.
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

    Examples
    --------
    >>> from cvbow.duplicates import DuplicatePair
    >>> pair = DuplicatePair("a.jpg", "a-small.jpg", "copy", score=0.97, overlap=(1.0, 1.0), n_inliers=120)
    >>> pair.reason, pair.overlap
    ('copy', (1.0, 1.0))
    """

    first: str
    second: str
    reason: str
    score: float
    overlap: tuple[float, float]
    n_inliers: int | None
    difference: float = 0.0


class _Found(NamedTuple):
    """A pair, and the map from the thumbnail of its first image to that of the second."""

    pair: DuplicatePair
    matrix: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DuplicateGroup:
    """Images that are joined by pairs.

    Attributes
    ----------
    paths : tuple of str
        In the index's order.
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
    """What ``find_duplicates`` found.

    Attributes
    ----------
    groups : list of DuplicateGroup
        The largest first, equally large ones in the index's order.
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


def find_duplicates(
    index: ImageIndex,
    *,
    candidates: int = 5,
    min_score: float = MIN_SCORE,
    min_part_score: float = MIN_PART_SCORE,
    min_overlap: float = MIN_OVERLAP,
    max_difference: float = MAX_DIFFERENCE,
    few_features: int = 100,
    n_jobs: int | None = None,
) -> Duplicates:
    """Find the images of an index that are the same picture.

    Different photographs of one place are not: they do not agree in their details.

    Parameters
    ----------
    index : ImageIndex
        Of any kind. Features that it stores make small parts of large pictures found; thumbnails are made from the
        files.
    candidates : int, default 5
        The best so many of each image's ranking are looked at; 0 looks at thumbnails alone.
    min_score : float, default 0.75
        Of any pair, 0 to 1.
    min_part_score : float, default 0.94
        Of a pair of which one shows a part of the other, 0 to 1.
    min_overlap : float, default 0.5
        What share of its area each image of a pair must have in common with the other, at least, 0 to 1: with less,
        two parts of one photograph are no longer the same picture.
    max_difference : float, default 0.45
        By how much a pair may differ, in brightness or colour, at the place where it differs most: from 0 for the same
        to about 1, and 2 at most. Resizing and compression leave less than 0.3.
    few_features : int, default 100
        Images with fewer stored features are also compared with each other at many places and scales.
    n_jobs : int or None, default None
        Workers, by joblib's convention. Changes no result.

    Returns
    -------
    Duplicates

    Raises
    ------
    ValueError
        If a parameter breaks its rule.

    Notes
    -----
    A picture without details (a clear sky, a blank page) is only found with the same bytes. One that was turned,
    slanted, mirrored, drawn over, or given other colours or none, is another picture: whoever keeps one of them loses
    something. A larger `max_difference` finds these, too.
    """
    check_int("candidates", candidates, minimum=0)
    check_real("min_score", min_score, minimum=0, maximum=1)
    check_real("min_part_score", min_part_score, minimum=0, maximum=1)
    check_real("min_overlap", min_overlap, minimum=0, maximum=1)
    check_real("max_difference", max_difference, minimum=0, maximum=2)
    check_int("few_features", few_features, minimum=0)
    effective_jobs(n_jobs)
    rows = np.asarray(index.rows).tolist()
    links = _links(index, rows)
    aliases = {row for names in links for row in names[1:]}
    rows = [row for row in rows if row not in aliases]
    identical = _identical(index, rows)
    # Of images of the same bytes the first one stands for all.
    twins = {second for _, second in identical}
    rows = [row for row in rows if row not in twins]
    with reading_as(background=index.describer.background):
        seen, thumbnails, unseen = _thumbnails(index, rows, n_jobs)
    least = {"copy": min_score, "part": max(min_score, min_part_score)}
    searches = _Comparison(index, seen, thumbnails, least, min_overlap)
    found: dict[Pair, _Found] = {}
    for pair in alike(thumbnails):
        searches.try_whole(pair, found)
    wanted = ranked(index, seen, candidates, n_jobs) if candidates else set()
    windows: set[Pair] = set()
    if index.describer.has_geometry:
        windows = alike_in_part(thumbnails, searches.few(few_features))
    found |= _compared(searches.by_features, sorted(wanted - set(found)), n_jobs)
    rest = windows if index.describer.has_geometry else wanted
    found |= _compared(searches.by_windows, sorted(rest - set(found)), n_jobs)
    with reading_as(background=index.describer.background):
        by_rows = {(seen[a], seen[b]): one for (a, b), one in found.items()}
        pairs, errors = _looked_at_closer(index, by_rows, max_difference, n_jobs)
    for first, second in identical:
        names = index.record(first).path, index.record(second).path
        pairs[first, second] = DuplicatePair(*names, "identical", 1.0, (1.0, 1.0), None)
    named = [tuple(index.record(row).path for row in names) for names in links]
    return Duplicates(_groups(index, pairs), len(index), named, unseen + errors)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """The final word on pairs; pairs are positions in `rows`."""

    index: ImageIndex
    rows: Sequence[int]
    thumbnails: NDArray[np.uint8]
    least: Mapping[str, float]
    min_overlap: float

    def few(self, few_features: int) -> list[int]:
        """Return the positions of images with fewer features."""
        return [at for at, row in enumerate(self.rows) if len(self.index.describe(row)["words"]) < few_features]

    def try_whole(self, pair: Pair, found: dict[Pair, _Found]) -> None:
        """Compare two images as they are."""
        judged = self._judge(pair, np.eye(3), None, refine=False)
        if judged is not None and judged.pair.reason == "copy":
            found[pair] = judged

    def by_features(self, pairs: Sequence[Pair]) -> dict[Pair, _Found]:
        """Compare images by the maps between their features."""
        found: dict[Pair, _Found] = {}
        if not self.index.describer.has_geometry:
            return found
        for pair in pairs:
            first, second = (self.index.describe(self.rows[at]) for at in pair)
            verified = verify(first, second, model="affine", max_hamming=_MAX_HAMMING, min_inliers=_MIN_INLIERS)
            if verified.matrix is None:
                continue
            to_first, to_second = thumbnail_map(first["image_size"]), thumbnail_map(second["image_size"])
            judged = self._judge(pair, to_second @ verified.matrix @ np.linalg.inv(to_first), verified)
            if judged is not None:
                found[pair] = judged
        return found

    def by_windows(self, pairs: Sequence[Pair]) -> dict[Pair, _Found]:
        """Compare images with the windows of each other that look most like them."""
        found = {}
        for a, b in pairs:
            first, second = self.thumbnails[a], self.thumbnails[b]
            maps: list[NDArray[Any]] = [window_map(window) for window in best_windows(second, first)]
            maps += [np.linalg.inv(window_map(window)) for window in best_windows(first, second)]
            judged = [one for matrix in maps if (one := self._judge((a, b), matrix, None)) is not None]
            if judged:
                found[a, b] = max(judged, key=lambda one: one.pair.score)
        return found

    def _judge(
        self, pair: Pair, matrix: NDArray[np.float64], verified: Verification | None, *, refine: bool = True
    ) -> _Found | None:
        """Return the pair if its thumbnails agree under a map from the first to the second."""
        first, second = (self.thumbnails[at] for at in pair)
        judged = agreement(first, second, matrix, refine=refine)
        if judged is None or judged.similarity < _MIN_SIMILARITY or min(judged.overlap) < self.min_overlap:
            return None
        reason = "copy" if min(judged.overlap) >= _WHOLE else "part"
        if judged.detail < self.least[reason]:
            return None
        names = [self.index.record(self.rows[at]).path for at in pair]
        n_inliers = None if verified is None else verified.n_inliers
        found = DuplicatePair(names[0], names[1], reason, min(judged.detail, 1.0), judged.overlap, n_inliers)
        return _Found(found, judged.matrix)


def _links(index: ImageIndex, rows: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the rows of each file that has several names; one that is no symbolic link comes first."""
    names: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        file = index.file(row)
        try:
            facts = None if file is None else os.stat(file)
        except OSError:
            continue
        if facts is not None and facts.st_ino:
            names.setdefault((facts.st_dev, facts.st_ino), []).append(row)

    def is_link(row: int) -> bool:
        return os.path.islink(index.file(row) or "")

    return [tuple(sorted(several, key=is_link)) for several in names.values() if len(several) > 1]


def _identical(index: ImageIndex, rows: Sequence[int]) -> list[Pair]:
    """Return pairs of rows of the same bytes: the first of each content with all others."""
    first: dict[str, int] = {}
    return [(kept, row) for row in rows if (kept := first.setdefault(index.record(row).sha256, row)) != row]


def _thumbnails(
    index: ImageIndex, rows: Sequence[int], n_jobs: int | None
) -> tuple[list[int], NDArray[np.uint8], list[ImageError]]:
    """Return the rows that have thumbnails, these, and the errors of those that have none."""
    stack = np.empty((len(rows), SIDE, SIDE), np.uint8)
    seen: list[int] = []
    unseen: list[ImageError] = []
    files = [(index.record(row).path, index.file(row)) for row in rows]
    for row, result in zip(rows, run(_read, files, n_jobs=n_jobs, task="thumbnails", total=len(files)), strict=True):
        if isinstance(result, ImageError):
            unseen.append(result)
        else:
            stack[len(seen)] = result
            seen.append(row)
    return seen, stack[: len(seen)], unseen


def _looked_at_closer(
    index: ImageIndex, found: Mapping[Pair, _Found], max_difference: float, n_jobs: int | None
) -> tuple[dict[Pair, DuplicatePair], list[ImageError]]:
    """Return the pairs of rows whose files do not differ too much anywhere, and the errors of those that are gone."""
    partners: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
    for first, second in sorted(found):
        partners.setdefault(first, []).append((second, found[first, second].matrix))
    tasks = [
        (str(index.file(first)), [(str(index.file(second)), matrix) for second, matrix in others])
        for first, others in partners.items()
    ]
    results = run(_differences, tasks, n_jobs=n_jobs, task="closer look", total=len(tasks))
    pairs: dict[Pair, DuplicatePair] = {}
    errors: dict[str, ImageError] = {}
    for (first, others), differences in zip(partners.items(), results, strict=True):
        for (second, _), difference in zip(others, differences, strict=True):
            if isinstance(difference, ImageError):
                errors[difference.path] = difference
            elif difference <= max_difference:
                pairs[first, second] = replace(found[first, second].pair, difference=difference)
    return pairs, list(errors.values())


def _differences(task: tuple[str, Sequence[tuple[str, NDArray[np.float64]]]]) -> list[float | ImageError]:
    """Return by how much an image differs from each of others, under a map to each."""
    file, others = task
    first = _image(file)
    if isinstance(first, ImageError):
        return [first] * len(others)
    results: list[float | ImageError] = []
    for other, matrix in others:
        second = _image(other)
        results.append(second if isinstance(second, ImageError) else largest_difference(first, second, matrix))
    return results


def _read(image: tuple[str, str | None]) -> NDArray[np.uint8] | ImageError:
    name, file = image
    if file is None:
        return ImageError(name, "has no file to make a thumbnail from")
    found = _image(file, gray=True)
    return found if isinstance(found, ImageError) else gray_thumbnail(found)


def _image(file: str, *, gray: bool = False) -> NDArray[np.uint8] | ImageError:
    try:
        return read_image(file, gray=gray)
    except ImageError as error:
        return error
    except OSError as error:
        return ImageError(file, error.strerror or str(error))


def _compared(
    compare: Callable[[Sequence[Pair]], dict[Pair, _Found]], pairs: Sequence[Pair], n_jobs: int | None
) -> dict[Pair, _Found]:
    """Compare pairs in threads of this process: an index is sent to no other."""
    tasks = [pairs[start : start + _TASK] for start in range(0, len(pairs), _TASK)]
    found: dict[Pair, _Found] = {}
    with single_threaded(), progress("comparing", len(pairs)) as tell:
        for number, part in enumerate(prefetched(compare, tasks, n_jobs=n_jobs), 1):
            found |= part
            tell(min(number * _TASK, len(pairs)))
    return found


def _groups(index: ImageIndex, pairs: dict[Pair, DuplicatePair]) -> list[DuplicateGroup]:
    """Return connected images, by rows."""
    leader: dict[int, int] = {}

    def leader_of(row: int) -> int:
        while leader.setdefault(row, row) != row:
            leader[row] = row = leader[leader[row]]
        return row

    for a, b in pairs:
        first, second = sorted((leader_of(a), leader_of(b)))
        leader[second] = first
    members: dict[int, list[int]] = {}
    for row in sorted(leader):
        members.setdefault(leader_of(row), []).append(row)
    inside: dict[int, list[DuplicatePair]] = {}
    for a, b in sorted(pairs):
        inside.setdefault(leader_of(a), []).append(pairs[a, b])
    groups = []
    for first, rows in members.items():
        paths, score = tuple(index.record(row).path for row in rows), min(pair.score for pair in inside[first])
        groups.append(DuplicateGroup(paths, tuple(inside[first]), score))
    return sorted(groups, key=lambda group: -len(group.paths))
