"""Data sets of retrieval: which of their images are searched, and what each query should find.

Stanford's mobile visual search (V. Chandrasekhar et al., MMSys 2011): a folder of references, a folder of queries for
each camera; ukbench and Holidays: groups by the numbers of the files; Oxford and Paris buildings: text files; and a
CSV beside the images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from cvbow.datasets.images import LabelledImages, Layout, step_inside
from cvbow.errors import DatasetError
from cvbow.images import IMAGE_SUFFIXES, natural_key
from cvbow.retrieval import GroundTruth, Query, groups_by_number, read_oxford, read_pairs

_OTHER = "other"
_LANDMARK = re.compile(r"_\d+$")


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """A data set of retrieval.

    Attributes
    ----------
    images : LabelledImages
        All of its images.
    indexed : tuple of Path
        Those that are searched.
    ground_truth : GroundTruth

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow.datasets import LabelledImages, RetrievalSet
    >>> from cvbow.retrieval import GroundTruth, Query
    >>> images = LabelledImages((Path("1.jpg"), Path("2.jpg")), labels=("door", "door"), names=("1.jpg", "2.jpg"))
    >>> truth = GroundTruth((Query("1", Path("1.jpg"), relevant=frozenset({Path("2.jpg")})),))
    >>> found = RetrievalSet(images, indexed=images.images, ground_truth=truth)
    >>> len(found.indexed), len(found.ground_truth)
    (2, 1)
    """

    images: LabelledImages
    indexed: tuple[Path, ...]
    ground_truth: GroundTruth


@runtime_checkable
class RetrievalLayout(Layout, Protocol):
    """A layout with a ground truth of retrieval.

    Examples
    --------
    >>> from cvbow.datasets import RetrievalLayout, find_dataset
    >>> [name for name in ("digits", "ukbench") if isinstance(find_dataset(name).layout, RetrievalLayout)]
    ['ukbench']
    """

    def load(self, root: Path) -> LabelledImages:
        return self.retrieval(root).images

    def retrieval(self, root: Path) -> RetrievalSet:
        """List the images and the queries below ``root``."""


@dataclass(frozen=True)
class References(RetrievalLayout):
    """A folder of references, and folders of queries: an image of the same name shows the same.

    An image's label is its name, without the suffix.

    Attributes
    ----------
    references : str
    queries : tuple of str
    inside : tuple of str
        As of ``Folders``.
    """

    references: str
    queries: tuple[str, ...]
    inside: tuple[str, ...] = ()

    def retrieval(self, root: Path) -> RetrievalSet:
        base = step_inside(root, self.inside)
        references = {path.stem: path for path in _images_in(base / self.references)}
        queries = []
        for folder in self.queries:
            for path in _images_in(base / folder):
                if path.stem not in references:
                    raise DatasetError(path, f"there is no image of that name in {base / self.references}")
                queries.append(Query(f"{folder}/{path.name}", path, frozenset({references[path.stem]})))
        paths = [*references.values(), *(query.image for query in queries)]
        return RetrievalSet(
            _labelled(base, paths, [path.stem for path in paths]),
            tuple(references.values()),
            GroundTruth(tuple(queries)),
        )


@dataclass(frozen=True)
class NumberedGroups(RetrievalLayout):
    """Images whose numbers tell what shows the same: number // size is the group, and its label. All are searched.

    Attributes
    ----------
    size : int
    queries : {"all", "first"}, default "all"
        Each image is a query, or the one of each group whose number is a multiple of `size`.
    inside : tuple of str
        As of ``Folders``.
    """

    size: int
    queries: str = "all"
    inside: tuple[str, ...] = ()

    def retrieval(self, root: Path) -> RetrievalSet:
        base = step_inside(root, self.inside)
        paths = _images_below(base)
        try:
            truth = groups_by_number(paths, size=self.size, queries=self.queries)
        except ValueError as error:
            raise DatasetError(base, str(error)) from None
        labels = [str(int(re.findall(r"\d+$", path.stem)[0]) // self.size) for path in paths]
        return RetrievalSet(_labelled(base, paths, labels), tuple(paths), truth)


@dataclass(frozen=True)
class OxfordBuildings(RetrievalLayout):
    """Images at any depth, and the text files of the Oxford or Paris buildings wherever they lie among them.

    An image's label is a building that it shows after the ground truth, or ``other``.

    Attributes
    ----------
    leave_out : tuple of str
        Names of files that are damaged in every copy.
    """

    leave_out: tuple[str, ...] = ()

    def retrieval(self, root: Path) -> RetrievalSet:
        files = sorted(root.rglob("*_query.txt"), key=lambda file: natural_key(file.as_posix()))
        if not files:
            raise DatasetError(root, "expected files *_query.txt, *_good.txt, *_ok.txt and *_junk.txt at some depth")
        paths = [path for path in _images_below(root) if path.name not in self.leave_out]
        read = read_oxford(files[0].parent, images=paths)
        there, gone = set(paths), set(self.leave_out)
        missing = next((path for path in read.images if path not in there and path.name not in gone), None)
        if missing is not None:
            raise DatasetError(root, f"the ground truth names an image that is not there: {missing.stem}")
        truth = GroundTruth(
            tuple(
                Query(query.name, query.image, query.relevant & there, query.ignored & there, query.box)
                for query in read.queries
            )
        )
        label: dict[Path, str] = {}
        for query in truth.queries:
            for path in query.relevant:
                label.setdefault(path, _LANDMARK.sub("", query.name))
        labels = [label.get(path, _OTHER) for path in paths]
        return RetrievalSet(_labelled(root, paths, labels), tuple(paths), truth)


@dataclass(frozen=True)
class TruthTable(RetrievalLayout):
    """Images at any depth, all of which are searched, and a CSV that ``read_pairs`` takes.

    An image's label is the first query, in natural order, that it is or that it is relevant to; or ``other``.

    Attributes
    ----------
    truth : str
        The CSV, below the root.
    """

    truth: str

    def retrieval(self, root: Path) -> RetrievalSet:
        paths, truth = _images_below(root), read_pairs(root / self.truth)
        there = set(paths)
        missing = next((path for path in truth.images if path not in there), None)
        if missing is not None:
            raise DatasetError(root, f"the ground truth names an image that is not there: {missing}")
        label: dict[Path, str] = {}
        for query in sorted(truth.queries, key=lambda query: natural_key(query.name)):
            for path in (query.image, *query.relevant):
                label.setdefault(path, query.image.stem)
        return RetrievalSet(_labelled(root, paths, [label.get(path, _OTHER) for path in paths]), tuple(paths), truth)


def _labelled(base: Path, paths: list[Path], labels: list[str]) -> LabelledImages:
    return LabelledImages(tuple(paths), tuple(labels), tuple(path.relative_to(base).as_posix() for path in paths))


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(folder, "there is no such folder")
    return sorted(filter(_is_image, folder.iterdir()), key=lambda path: natural_key(path.name))


def _images_below(root: Path) -> list[Path]:
    found = (path for path in root.rglob("*") if _is_image(path))
    return sorted(found, key=lambda path: natural_key(path.relative_to(root).as_posix()))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
