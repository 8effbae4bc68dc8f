"""Near-duplicates: groups of images that are the same picture, whatever their size, compression and margins.

Candidates come from four places: thumbnails that are alike as a whole; thumbnails of which one looks like a window of
the other; what the caller holds for near; and the ranking that an index gives for every image (Chum, Philbin and
Zisserman, "Near duplicate image detection: min-hash and tf-idf weighting", BMVC 2008, find them in the words, too).
Whatever proposes a pair, its thumbnails decide, laid upon each other by the map that was found; what they take for one
picture is looked at closer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbow._checks import check_int
from cvbow.duplicates._candidates import alike_in_part, ranked
from cvbow.duplicates._search import (
    MAX_DIFFERENCE,
    MIN_OVERLAP,
    MIN_PART_SCORE,
    MIN_SCORE,
    Found,
    Rules,
    Search,
)
from cvbow.duplicates.found import Duplicates, Pair
from cvbow.duplicates.thumbnails import thumbnail_map
from cvbow.duplicates.turning import MIRRORED
from cvbow.duplicates.windows import PLACES, Windows
from cvbow.images import reading_as
from cvbow.parallel import effective_jobs
from cvbow.progress import stages
from cvbow.retrieval.verification import verify

if TYPE_CHECKING:
    from cvbow.index.image_index import ImageIndex

#: Fewer inliers than a ranking asks for: the thumbnails have the last word.
_MIN_INLIERS = 4
#: Bits in which the signatures of a feature and of its copy may differ.
_MAX_HAMMING = 20
#: Sides of the windows in which each image is looked for in every other one, from this on; so many images at most,
#: since the work grows with their square.
_LARGE_PARTS, _MOST_IN_PART = 0.7, 15_000


def find_copies(
    paths: Sequence[str | os.PathLike[str]],
    near: ArrayLike | None = None,
    *,
    turned: bool = True,
    colors: str = "strict",
    max_difference: float = MAX_DIFFERENCE,
    n_jobs: int | None = None,
) -> Duplicates:
    """Find the files that are the same picture: copied, resized, recompressed, cropped, mirrored or turned.

    Different photographs of one place are not: they do not agree in their details.

    Parameters
    ----------
    paths : sequence of path
        Image files.
    near : array-like of shape (n, k), int, optional
        For each file the positions of others that may show the same, such as those whose vectors are nearest; -1 for
        none. Each is also looked for as a part of the other, down to half of its sides, however it is turned. Without
        it, only upright parts from 70 percent of the sides on are found, among up to 15,000 files.
    turned : bool, default True
        Whether a picture that was mirrored or turned by 90, 180 or 270 degrees is the same.
    colors : {"strict", "any"}, default "strict"
        Whether a picture in other colours, or in gray, is another picture, or the same.
    max_difference : float, default 0.45
        By how much two may differ at the place where they differ most, as for ``find_duplicates``.
    n_jobs : int or None, default None
        Workers, by joblib's convention. Changes no result.

    Returns
    -------
    Duplicates

    Raises
    ------
    ValueError
        If a parameter breaks its rule.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from cvbow.duplicates import find_copies
    >>> noise = np.random.default_rng(0).integers(0, 256, (2, 12, 16), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [pathlib.Path(folder, name) for name in ("a.png", "b.png", "a-mirrored.png")]
    ...     for path, pixels in zip(paths, (noise[0], noise[1], noise[0, :, ::-1])):
    ...         Image.fromarray(pixels).resize((160, 120)).save(path)
    ...     found = find_copies(paths)
    >>> [(pathlib.Path(pair.second).name, pair.turned) for pair in found.pairs]
    [('a-mirrored.png', 'mirrored')]
    """
    rules = Rules(turned=turned, colors=colors, max_difference=max_difference)
    names = [os.fspath(path) for path in paths]
    neighbours = _checked_near(near, len(names))
    effective_jobs(n_jobs)
    with stages({"thumbnails": 4, "whole": 1, "parts": 2, "comparing": 2, "closer look": 2}) as begin:
        return _copies(names, neighbours, rules, n_jobs, begin)


def _copies(
    names: Sequence[str], neighbours: NDArray[np.intp], rules: Rules, n_jobs: int | None, begin: Callable[[str], None]
) -> Duplicates:
    begin("thumbnails")
    search = Search(names, names, rules, n_jobs=n_jobs)
    begin("whole")
    found = search.as_a_whole()
    begin("parts")
    wanted = _large_parts(search)
    own, others = (search.positions(images).tolist() for images in (np.arange(len(names)), neighbours))
    for one, row in zip(own, others, strict=True):
        for other in row:
            if min(one, other) >= 0:
                _want(wanted, [(one, other), (other, one)], rules.turns)
    begin("comparing")
    found |= search.in_part(_without(wanted, found))
    begin("closer look")
    return search.result(found)


def find_duplicates(
    index: ImageIndex,
    *,
    candidates: int = 5,
    min_score: float = MIN_SCORE,
    min_part_score: float = MIN_PART_SCORE,
    min_overlap: float = MIN_OVERLAP,
    max_difference: float = MAX_DIFFERENCE,
    turned: bool = False,
    colors: str = "strict",
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
    min_overlap : float, default 0.45
        What share of its area each image of a pair must have in common with the other, at least, 0 to 1: with less,
        two parts of one photograph are no longer the same picture. A part of 70 percent of the sides has 0.49.
    max_difference : float, default 0.45
        By how much a pair may differ, in brightness or colour, at the place where it differs most: from 0 for the same
        to about 1, and 2 at most. Resizing and compression leave less than 0.25.
    turned : bool, default False
        Whether a picture that was mirrored or turned by 90, 180 or 270 degrees is the same.
    colors : {"strict", "any"}, default "strict"
        Whether a picture in other colours, or in gray, is another picture, or the same.
    few_features : int, default 100
        Images with fewer stored features are also looked for in each other as parts down to half of the sides; all are
        as parts from 70 percent on, if there are no more than 15,000.
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
    A picture without details (a clear sky, a blank page) is only found with the same bytes. One that was slanted or
    drawn over, or a form that was filled in differently, is another picture: whoever keeps one of them loses something.
    A larger `max_difference` finds these, too.
    """
    check_int("candidates", candidates, minimum=0)
    rules = Rules(
        min_score=min_score,
        min_part_score=min_part_score,
        min_overlap=min_overlap,
        max_difference=max_difference,
        turned=turned,
        colors=colors,
    )
    check_int("few_features", few_features, minimum=0)
    effective_jobs(n_jobs)
    rows = np.asarray(index.rows).tolist()
    records = [index.record(row) for row in rows]
    steps = ("thumbnails", "whole", "ranking", "parts", "comparing", "in parts", "closer look")
    weights = dict(zip(steps, (4, 1, 3, 2, 3, 2, 2), strict=True))
    with reading_as(background=index.describer.background), stages(weights) as begin:
        begin("thumbnails")
        search = Search(
            [record.path for record in records],
            [index.file(row) for row in rows],
            rules,
            hashes=[record.sha256 for record in records],
            n_jobs=n_jobs,
        )
        begin("whole")
        found = search.as_a_whole()
        begin("ranking")
        seen = [rows[at] for at in search.seen]
        wanted = ranked(index, seen, candidates, n_jobs) if candidates else set()
        begin("parts")
        in_part = _large_parts(search)
        if turned or not index.describer.has_geometry:
            # Features tell more, but nothing of mirrors.
            _want(in_part, [pair for a, b in wanted for pair in ((a, b), (b, a))], rules.turns)
        begin("comparing")
        if index.describer.has_geometry:
            by_features = _ByFeatures(index, seen, search)
            few = by_features.few(few_features)
            windows = alike_in_part(search.thumbnails[few], PLACES, 0, n_jobs)
            _want(in_part, [(few[whole], few[part]) for whole, part in windows], [0])
            found |= search.compared(by_features, sorted(wanted - set(found)))
        begin("in parts")
        found |= search.in_part(_without(in_part, found))
        begin("closer look")
        return search.result(found)


class _ByFeatures:
    """Compares images of an index by the maps between their features; pairs are positions in `rows`."""

    def __init__(self, index: ImageIndex, rows: Sequence[int], search: Search) -> None:
        self.index, self.rows, self.search = index, rows, search

    def few(self, few_features: int) -> list[int]:
        """Return the positions of images with fewer features."""
        return [at for at, row in enumerate(self.rows) if len(self.index.describe(row)["words"]) < few_features]

    def __call__(self, pairs: Sequence[Pair]) -> dict[Pair, Found]:
        """Return the pairs that agree."""
        found: dict[Pair, Found] = {}
        for pair in pairs:
            first, second = (self.index.describe(self.rows[at]) for at in pair)
            verified = verify(first, second, model="affine", max_hamming=_MAX_HAMMING, min_inliers=_MIN_INLIERS)
            if verified.matrix is None:
                continue
            to_first, to_second = thumbnail_map(first["image_size"]), thumbnail_map(second["image_size"])
            matrix = np.asarray(to_second @ verified.matrix @ np.linalg.inv(to_first), np.float64)
            judged = self.search.judged(pair, 0, matrix, n_inliers=verified.n_inliers)
            if judged is not None:
                found[pair] = judged
        return found


def _large_parts(search: Search) -> dict[Pair, set[int]]:
    """Return which images look like large parts of others, upright or, where the rules allow it, mirrored."""
    wanted: dict[Pair, set[int]] = {}
    if len(search.seen) <= _MOST_IN_PART:
        for turn in sorted({0, MIRRORED} & {*search.rules.turns}):
            _want(wanted, alike_in_part(search.thumbnails, Windows(_LARGE_PARTS), turn, search.n_jobs), [turn])
    return wanted


def _want(wanted: dict[Pair, set[int]], pairs: Iterable[Pair], turns: Iterable[int]) -> None:
    """Add turns in which the second of each pair is looked for in the first."""
    for whole, part in pairs:
        if whole != part:
            wanted.setdefault((whole, part), set()).update(turns)


def _without(wanted: Mapping[Pair, set[int]], found: Container[Pair]) -> dict[Pair, set[int]]:
    return {pair: turns for pair, turns in wanted.items() if (min(pair), max(pair)) not in found}


def _checked_near(near: ArrayLike | None, n: int) -> NDArray[np.intp]:
    if near is None:
        return np.empty((n, 0), np.intp)
    positions = np.asarray(near)
    if positions.ndim != 2 or len(positions) != n or positions.dtype.kind not in "iu":
        raise ValueError(f"near must be integers of shape ({n}, k), got {positions.dtype} of shape {positions.shape}")
    if positions.size and not -1 <= int(positions.min()) <= int(positions.max()) < n:
        wrong = positions[(positions < -1) | (positions >= n)].flat[0]
        raise ValueError(f"near must be positions from -1 to {n - 1}, got {wrong}")
    return positions.astype(np.intp)
