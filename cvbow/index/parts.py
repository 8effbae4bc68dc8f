"""Several indexes searched as if they were one: an index in parts, wherever the workers are that search them.

Ranking needs of a part what the weights of words need, which all parts add up to (`Scorer.statistics`), and of a query
its best images in each part. Both are small; the parts stay where they are.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.backends.loading import check_images
from cvbow.errors import ImageError, IndexFileError
from cvbow.files import read_file
from cvbow.index import _manifest
from cvbow.index._describing import Described, DescribeImage
from cvbow.index._manifest import Manifest
from cvbow.index._snapshot import Snapshot, load_describer
from cvbow.index.search import Result, Results, Search, ranked
from cvbow.parallel import run
from cvbow.progress import progress
from cvbow.retrieval.describer import Box, Describer

#: Queries whose descriptions are held at a time.
_CHUNK = 64
#: Parts that a process keeps open, so that each is opened and checked once.
_OPEN = 256

Description = Mapping[str, NDArray[Any]]


def search_parts(
    paths: Sequence[str | os.PathLike[str]],
    images: Sequence[ImageLike],
    search: Search | None = None,
    *,
    boxes: Sequence[Box | None] | None = None,
    check: bool = True,
    n_jobs: int | None = None,
    **options: Any,
) -> Iterator[Results | ImageError]:
    """Search several indexes as if they were one that has the images of all.

    The results are those of `ImageIndex.search_many` on that one index, to the last bit: words are weighed by how many
    images of all parts have them. Each part is searched by a worker of its own, a thread of this process or, inside
    ``cvbow.parallel.executor``, a process or a machine of a Dask cluster, which must see the folder by the same path.

    Parameters
    ----------
    paths : sequence of paths
        Of the indexes, all built with one describer: ``ImageIndex.build(path, other.describer)``, or
        ``cvbow index build --like``.
    images : sequence of paths or arrays
        Queries. A path whose file is gone is an ImageError, also where an index knows it.
    search : Search, optional
        How to search, without ``expand`` and ``exclude_self``; by default ``Search()``.
    **options :
        Parameters of ``Search`` by their names, as in ``k=3, verify=100``.
    boxes : sequence of (x, y, width, height) or None, optional
        One for each image.
    check : bool, default True
        Read every file and compare its checksum, as `ImageIndex.open` does.
    n_jobs : int or None
        Workers, by joblib's convention. Changes no result.

    Yields
    ------
    list of Result, or ImageError
        For each image, in order. ``Result.part`` is the number of its index among `paths`.

    Raises
    ------
    ValueError
        When a parameter breaks its rule, or the indexes have different describers.
    FileNotFoundError, IndexFileError
        As of `ImageIndex.open`; and where an index is changed during the search.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from cvbow.backends import ColorHistogram
    >>> from cvbow.index import ImageIndex, search_parts
    >>> from cvbow.retrieval import ImageVectors
    >>> red, blue = (np.full((8, 8, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))
    >>> describer = ImageVectors(ColorHistogram(), whiten=False).fit([red])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [pathlib.Path(folder, name) for name in ("first", "second")]
    ...     for path, image in zip(paths, (blue, red)):
    ...         with ImageIndex.build(path, describer) as index:
    ...             _ = index.add([image], names=["an image"])
    ...     [[(result.part, result.path) for result in found] for found in search_parts(paths, [red])]
    [[(1, 'an image')]]
    """
    if isinstance(paths, str | os.PathLike) or not len(paths):
        raise ValueError(f"paths must be a sequence of one path or more, got {paths!r}")
    images = check_images(images)
    if boxes is not None and len(boxes) != len(images):
        raise ValueError(f"boxes must be as many as images ({len(images)}), got {len(boxes)}")
    folders = [os.path.abspath(os.fspath(path)) for path in paths]
    describer = load_describer(folders[0], Manifest.read(folders[0]))
    suited = Search.of(search, options, describer)
    if suited.expand or suited.exclude_self:
        raise ValueError("expand must be 0 and exclude_self False where several indexes are searched")
    parts = [_PartOf(folder, number, check) for number, folder in enumerate(folders)]
    tasks = list(zip(images, boxes or [None] * len(images), [None] * len(images), strict=True))
    return _answers(parts, describer, suited, tasks, n_jobs)


class _PartOf(NamedTuple):
    """What a worker needs to open a part."""

    folder: str
    number: int
    check: bool
    #: Of its manifest; empty for whatever that is now.
    sha256: str = ""

    def opened(self) -> tuple[str, Snapshot]:
        """Open the index, unless this process has it open, and return its manifest's hash with it."""
        sha256 = _hash_of(self.folder)
        if self.sha256 not in ("", sha256):
            raise IndexFileError(self.folder, "was changed while it was searched: search again")
        return sha256, _opened(self.folder, self.check, sha256)


def _hash_of(folder: str) -> str:
    Manifest.read(folder)  # what is not an index says so
    return hashlib.sha256(read_file(os.path.join(folder, _manifest.NAME))).hexdigest()


@functools.lru_cache(maxsize=_OPEN)
def _opened(folder: str, check: bool, sha256: str) -> Snapshot:
    return Snapshot.open(folder, check=check)


@functools.lru_cache(maxsize=_OPEN)
def _weighed(folder: str, check: bool, sha256: str, statistics: _Statistics) -> Snapshot:
    return _opened(folder, check, sha256).weighed_by(statistics.arrays)


class _Statistics:
    """What all parts add up to, with a hash by which a worker knows whether it has seen it."""

    def __init__(self, several: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self.arrays = {name: np.sum([one[name] for one in several], axis=0) for name in several[0]}
        joined = b"".join(array.tobytes() for array in self.arrays.values())
        self.sha256 = hashlib.sha256(joined).hexdigest()

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Statistics) and self.sha256 == other.sha256


def _statistics_of(part: _PartOf) -> tuple[str, str, dict[str, NDArray[Any]]]:
    """Return the hash of a part's manifest, that of its describer, and what it adds to the statistics."""
    sha256, snapshot = part.opened()
    return sha256, snapshot.manifest.describer_hash, dict(snapshot.scorer.statistics)


class _SearchPart:
    """Searches a part for some described queries; picklable."""

    def __init__(self, search: Search, statistics: _Statistics) -> None:
        self.search = search
        self.statistics = statistics

    def __call__(self, task: tuple[_PartOf, list[Description]]) -> list[list[Result]]:
        part, queries = task
        sha256, _ = part.opened()
        snapshot = _weighed(part.folder, part.check, sha256, self.statistics)
        found = (ranked(snapshot, self.search, query) for query in queries)
        return [[replace(result, part=part.number) for result in results] for results in found]


def _answers(
    parts: list[_PartOf],
    describer: Describer,
    search: Search,
    tasks: Sequence[tuple[ImageLike, Box | None, None]],
    n_jobs: int | None,
) -> Iterator[Results | ImageError]:
    try:
        seen = list(run(_statistics_of, parts, n_jobs=n_jobs))
        for part, (_, describer_hash, _) in zip(parts, seen, strict=True):
            if describer_hash != seen[0][1]:
                raise ValueError(f"{part.folder} was built with another describer than {parts[0].folder}")
        parts = [part._replace(sha256=sha256) for part, (sha256, _, _) in zip(parts, seen, strict=True)]
        statistics = _Statistics([arrays for _, _, arrays in seen])
        # Of each part as many as the best of all may be.
        depth = None if search.k is None else max(search.k, search.verify or 0)
        search_part = _SearchPart(replace(search, k=depth), statistics)
        with progress("search", len(tasks)) as tell:
            for first in range(0, len(tasks), _CHUNK):
                described = list(
                    run(DescribeImage(describer, as_query=True), tasks[first : first + _CHUNK], n_jobs=n_jobs)
                )
                queries: list[Description] = [found.arrays for found in described if isinstance(found, Described)]
                found = list(run(search_part, [(part, queries) for part in parts], n_jobs=n_jobs)) if queries else []
                merged = (_merged(results, search) for results in zip(*found, strict=True))
                for one in described:
                    yield next(merged) if isinstance(one, Described) else one
                tell(first + len(described))
    finally:
        _weighed.cache_clear()
        _opened.cache_clear()


def _merged(found: Sequence[list[Result]], search: Search) -> Results:
    """Return the best of the parts' results, as `ranked` orders those of one index."""
    results = sorted((one for part in found for one in part), key=lambda one: (-one.score, one.path, one.part))
    verified = search.verify or 0
    if search.k is not None:
        results = results[: max(search.k, verified)]
    results = [*results[:verified], *(replace(one, verification=None) for one in results[verified:])]
    maps = [one for one in results if one.matrix is not None]
    maps.sort(key=lambda one: (-(one.n_inliers or 0), -(one.verification.score if one.verification else 0)))
    return Results([*maps, *(one for one in results if one.matrix is None)][: search.k])
