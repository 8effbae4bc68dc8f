"""What should be found: queries with the images that are relevant to them and those that do not count.

Read from a CSV, from a folder of groups, from the files of the Oxford and Paris buildings (J. Philbin et al., CVPR 2007
and 2008), or made from the numbers in file names, as ukbench (D. Nistér and H. Stewénius, CVPR 2006) and INRIA Holidays
(H. Jégou et al., ECCV 2008) have them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cvbow._checks import check_choice, check_int
from cvbow.errors import DatasetError
from cvbow.files import no_such, read_text
from cvbow.images import IMAGE_SUFFIXES, list_images, natural_key
from cvbow.images.manifest import csv_rows
from cvbow.retrieval.describer import Box

LABELS = ("relevant", "ignored")
_COLUMNS = ("query", "image", "label")
_EXPECTED = f"expected the columns {','.join(_COLUMNS)}"
_QUERY_FILE = "_query.txt"
#: The names of the features that the Oxford ground truth was made with begin so; Paris has the plain names.
_OXFORD_PREFIX = "oxc1_"
_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class Query:
    """An image, or a part of one, and what should be found with it.

    Attributes
    ----------
    name : str
        No two queries of a ground truth have the same.
    image : Path
    relevant : frozenset of Path
        May hold `image` itself: it counts where an evaluation keeps the query in its own ranking.
    ignored : frozenset of Path
        Taken out of the ranking before it is judged.
    box : tuple of float, optional
        x, y, width, height in pixels of the part that is searched for; all of the image if None.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow.retrieval import Query
    >>> query = Query("door", Path("door.jpg"), relevant=frozenset({Path("door2.jpg")}), box=(10, 20, 200, 300))
    >>> Path("door2.jpg") in query.relevant
    True
    """

    name: str
    image: Path
    relevant: frozenset[Path]
    ignored: frozenset[Path] = frozenset()
    box: Box | None = None


@dataclass(frozen=True)
class GroundTruth:
    """Queries and what should be found with them.

    Attributes
    ----------
    queries : tuple of Query
        In natural order where they come from files.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow.retrieval import GroundTruth, Query
    >>> door = Query("door", Path("door.jpg"), relevant=frozenset({Path("door2.jpg")}))
    >>> [path.name for path in GroundTruth((door,)).images]
    ['door2.jpg', 'door.jpg']
    """

    queries: tuple[Query, ...]

    def __post_init__(self) -> None:
        """Check that names identify, and that no image is both."""
        names = [query.name for query in self.queries]
        if len(set(names)) < len(names):
            raise ValueError("queries must have names that differ from each other")
        for query in self.queries:
            both = query.relevant & query.ignored
            if both:
                raise ValueError(f"query {query.name}: an image must be relevant or ignored, got both for {min(both)}")

    def __len__(self) -> int:
        return len(self.queries)

    def __repr__(self) -> str:
        return f"GroundTruth({len(self)} queries)"

    @property
    def images(self) -> tuple[Path, ...]:
        """All images that are named, queries among them, in natural order."""
        named = {query.image for query in self.queries}
        for query in self.queries:
            named |= query.relevant | query.ignored
        return tuple(sorted(named, key=lambda path: natural_key(path.as_posix())))


def read_ground_truth(source: str | os.PathLike[str], *, images: str | os.PathLike[str] | None = None) -> GroundTruth:
    """Read a ground truth: a CSV, a folder of groups, or a folder with files of the Oxford or Paris buildings.

    Parameters
    ----------
    source : path
        A file that ends in ``.csv`` (``read_pairs``), a folder with files ``*_query.txt`` (``read_oxford``), or a
        folder with a folder for each group of images that show the same (``read_groups``).
    images : path, optional
        The folder that names in a CSV are relative to, or that holds the images of Oxford files; otherwise the folder
        of the CSV, or `source`.

    Raises
    ------
    FileNotFoundError
        When there is no such file or folder.
    DatasetError
        When it is not as it should be; of a CSV, with the line.
    """
    root = Path(source)
    if root.is_dir():
        if any(root.glob(f"*{_QUERY_FILE}")):
            return read_oxford(root, images=root if images is None else images)
        return read_groups(root)
    if not root.exists():
        raise no_such(root)
    if root.suffix.casefold() != ".csv":
        raise DatasetError(root, "expected a .csv file, a folder of groups, or a folder with files *_query.txt")
    return read_pairs(root, images=images)


def read_pairs(source: str | os.PathLike[str], *, images: str | os.PathLike[str] | None = None) -> GroundTruth:
    """Read a CSV with the columns ``query,image,label``, in any order, among any others; a row for each pair.

    A label is ``relevant`` or ``ignored``; every other image is wrong for the query. Queries keep the order in which
    they first occur. Whether the files exist is not looked at.

    Parameters
    ----------
    source : path
        UTF-8, with or without a byte-order mark.
    images : path, optional
        What relative names are relative to; the folder of the CSV if None.

    Raises
    ------
    FileNotFoundError
    DatasetError
        That gives the line: a column is missing, a cell empty, a label unknown, a pair there twice; or a query has no
        relevant image.
    """
    path = Path(source)
    folder = path.parent if images is None else Path(images)
    rows = csv_rows(path)
    header = next(rows, (0, []))[1]
    if not header:
        raise DatasetError(path, f"the file is empty; {_EXPECTED}")
    names = [cell.casefold() for cell in header]
    for name in _COLUMNS:
        if names.count(name) != 1:
            what = f"no column {name}" if name not in names else f"the column {name} occurs {names.count(name)} times"
            raise DatasetError(path, f"{what}; {_EXPECTED}, found {','.join(header)!r}")
    columns = [names.index(name) for name in _COLUMNS]

    found: dict[str, dict[str, set[Path]]] = {}
    lines: dict[tuple[str, Path], int] = {}
    for line, row in rows:
        cells = [row[column] if column < len(row) else "" for column in columns]
        for name, cell in zip(_COLUMNS, cells, strict=True):
            if not cell:
                raise DatasetError(path, f"line {line}: the {name} is empty")
        query, image, label = cells[0], folder / cells[1], cells[2].casefold()
        if label not in LABELS:
            raise DatasetError(path, f"line {line}: the label must be {' or '.join(LABELS)}, got {cells[2]!r}")
        if (query, image) in lines:
            raise DatasetError(
                path, f"line {line}: {cells[1]} was labelled for {query} in line {lines[query, image]} before"
            )
        lines[query, image] = line
        found.setdefault(query, {name: set() for name in LABELS})[label].add(image)
    if not found:
        raise DatasetError(path, "no pairs are listed below the header")
    queries = []
    for name, images_of in found.items():
        if not images_of["relevant"]:
            raise DatasetError(path, f"the query {name} has no relevant image")
        queries.append(Query(name, folder / name, frozenset(images_of["relevant"]), frozenset(images_of["ignored"])))
    return GroundTruth(tuple(queries))


def read_groups(folder: str | os.PathLike[str]) -> GroundTruth:
    """Read a folder of groups: each image is a query, and the images of its group, itself included, are relevant.

    Groups are folders below `folder`, however deep images lie in them. A group of one image has no query.

    Raises
    ------
    FileNotFoundError
    DatasetError
        When there are no groups, or none of two images.
    """
    root = Path(folder)
    listed = list_images(root)
    groups: dict[tuple[str | None, str], list[Path]] = {}
    for image, label, split in zip(listed.paths, listed.labels, listed.splits, strict=True):
        groups.setdefault((split, label), []).append(image)
    queries = [
        Query(image.relative_to(root).as_posix(), image, frozenset(group))
        for group in groups.values()
        if len(group) > 1
        for image in group
    ]
    if not queries:
        raise DatasetError(root, f"expected a folder for each group of images, found {len(groups)} of one image each")
    return GroundTruth(tuple(queries))


def groups_by_number(images: Iterable[str | os.PathLike[str]], *, size: int, queries: str = "all") -> GroundTruth:
    """Group images by the numbers that their names end in: number // size is the group.

    ukbench has ``size=4`` and takes every image for a query; Holidays has ``size=100``, and the first of a group,
    whose number is a multiple of 100, is the query: 100000.jpg that of the group 1000.

    Parameters
    ----------
    images : iterable of path
    size : int >= 2
        Numbers that a group may have.
    queries : {"all", "first"}
        "all": each image of a group of two or more. "first": the one whose number is a multiple of `size`.

    Returns
    -------
    GroundTruth
        Relevant are all of the group, the query itself among them.

    Raises
    ------
    ValueError
        If a name ends in no number, two images have the same number, a group has no first where one is asked for, or
        no group has two images.

    Examples
    --------
    >>> from cvbow.retrieval import groups_by_number
    >>> truth = groups_by_number([f"ukbench{number:05}.jpg" for number in range(8)], size=4)
    >>> len(truth), sorted(path.name for path in truth.queries[0].relevant)
    (8, ['ukbench00000.jpg', 'ukbench00001.jpg', 'ukbench00002.jpg', 'ukbench00003.jpg'])
    """
    check_int("size", size, minimum=2)
    check_choice("queries", queries, ("all", "first"))
    numbered: dict[int, Path] = {}
    for path in map(Path, images):
        match = _NUMBER.search(path.stem)
        if match is None:
            raise ValueError(f"images must have names that end in a number, got {path.name!r}")
        other = numbered.setdefault(int(match[1]), path)
        if other is not path:
            raise ValueError(f"images must have different numbers, got {other.name!r} and {path.name!r}")
    groups: dict[int, list[int]] = {}
    for number in sorted(numbered):
        groups.setdefault(number // size, []).append(number)
    found = []
    for group, numbers in groups.items():
        if queries == "first" and numbers[0] != group * size:
            raise ValueError(
                f"each group must have a first image, whose number is a multiple of {size}; {group} has none"
            )
        if len(numbers) > 1:
            members = frozenset(numbered[number] for number in numbers)
            chosen = numbers if queries == "all" else numbers[:1]
            found += [Query(numbered[number].stem, numbered[number], members) for number in chosen]
    if not found:
        raise ValueError("images must have groups of two or more, got none")
    return GroundTruth(tuple(found))


def read_oxford(
    folder: str | os.PathLike[str], *, images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
) -> GroundTruth:
    """Read the ground truth of the Oxford or Paris buildings: files NAME_query.txt, _good.txt, _ok.txt, _junk.txt.

    A query file holds the image's name and the corners of a box, ``oxc1_all_souls_000013 136.5 34.1 648.5 955.7``.
    Good and ok images are relevant, junk is ignored.

    Parameters
    ----------
    folder : path
        Holds the files.
    images : path or sequence of path
        The folder that the images lie below, at any depth, or the images; those that are not there are taken to lie
        in that folder, or in `folder`, as NAME.jpg.

    Raises
    ------
    DatasetError
        When there are no such files, one is missing, or a query's line is not as above.
    """
    root = Path(folder)
    if isinstance(images, str | os.PathLike):
        base = Path(images)
        listed = [path for path in base.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES]
    else:
        base = root
        listed = [Path(path) for path in images]
    of_name = {path.stem: path for path in listed}

    def place(name: str) -> Path:
        return of_name.get(name, base / f"{name}.jpg")

    files = sorted(root.glob(f"*{_QUERY_FILE}"), key=lambda file: natural_key(file.name))
    if not files:
        raise DatasetError(root, "expected files *_query.txt, *_good.txt, *_ok.txt and *_junk.txt")
    queries = []
    for file in files:
        name = file.name.removesuffix(_QUERY_FILE)
        image, box = _read_query(file)
        good, ok, junk = (
            [place(word) for word in _words(root / f"{name}_{kind}.txt")] for kind in ("good", "ok", "junk")
        )
        relevant, ignored = frozenset(good) | frozenset(ok), frozenset(junk)
        if not relevant:
            raise DatasetError(file, "the query has no good and no ok image")
        if relevant & ignored:
            raise DatasetError(file, f"{min(relevant & ignored).stem} is junk, and good or ok as well")
        queries.append(Query(name, place(image), relevant, ignored, box))
    return GroundTruth(tuple(queries))


def _read_query(file: Path) -> tuple[str, Box]:
    words = _words(file)
    try:
        x1, y1, x2, y2 = map(float, words[1:])
    except ValueError:
        raise DatasetError(file, f"line 1: expected IMAGE X1 Y1 X2 Y2, found {' '.join(words)!r}") from None
    if not (x2 > x1 and y2 > y1):
        raise DatasetError(file, f"line 1: the box has no area: {' '.join(words[1:])}")
    return words[0].removeprefix(_OXFORD_PREFIX), (x1, y1, x2 - x1, y2 - y1)


def _words(file: Path) -> list[str]:
    try:
        return read_text(file).split()
    except FileNotFoundError:
        raise DatasetError(file, "there is no such file") from None
    except UnicodeDecodeError:
        raise DatasetError(file, "the file is not text") from None
