"""Adding images to an index: which of them are new, which are there already, and which are copies of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbow.backends import ImageLike
from cvbow.errors import ImageError
from cvbow.index._describing import DescribeImage, hash_images, is_path, name_of
from cvbow.index._records import Record, key_of
from cvbow.index._segment import Part
from cvbow.index._snapshot import Snapshot
from cvbow.index._writer import Writer
from cvbow.parallel import run
from cvbow.progress import progress
from cvbow.retrieval.describer import ArraySpec


@dataclass(frozen=True)
class AddReport:
    """What became of the images that were given to an index, each by the path that the index knows it by.

    An image is in exactly one of `added`, `unchanged`, `changed` and `skipped`, or, in an update, in `vanished`.

    Attributes
    ----------
    added : list of str
        New in the index.
    unchanged : list of str
        There already, with the same content.
    changed : list of str
        There already, but with other content: ``update`` has replaced what the index had, ``add`` has left it.
    skipped : list of ImageError
        Those that cannot be read, each with its path and reason; what the index had of them, it has.
    copies : list of (str, str)
        Of `added` and, in an update, `changed`: those with the same content as another image of the index, with the
        path of that one. Nothing was computed for them.
    empty : list of str
        Of `added` and, in an update, `changed`: those in which nothing was found to describe. No search finds them.
    vanished : list of str
        In an update: images of the index whose file is no longer there. They stay in the index until they are removed.

    Examples
    --------
    >>> from cvbow.index import AddReport
    >>> report = AddReport(added=["a.jpg", "b.jpg"], copies=[("b.jpg", "a.jpg")])
    >>> len(report.added), report.skipped
    (2, [])
    """

    added: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    skipped: list[ImageError] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)


class Item(NamedTuple):
    """An image on its way into an index, with what it will be known by."""

    key: str
    image: ImageLike
    is_file: bool


def items_of(images: Sequence[ImageLike], names: Sequence[str] | None, root: str) -> list[Item]:
    """Give each image what it is known by; ValueError where one that is not a path has no name, or names do not fit."""
    if names is None:
        items = []
        for number, image in enumerate(images):
            if not is_path(image):
                raise ValueError(f"images must be paths unless names are given, got {type(image).__name__} at {number}")
            items.append(Item(key_of(image, root), image, True))
        return items
    if len(names) != len(images):
        raise ValueError(f"names must be as many as images ({len(images)}), got {len(names)}")
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"names must be texts that are not empty, got {name!r}")
    return [Item(name, image, False) for name, image in zip(names, images, strict=True)]


def add_items(
    writer: Writer,
    snapshot: Snapshot,
    items: Sequence[Item],
    *,
    replace: bool,
    strict: bool,
    batch: int,
    n_jobs: int | None,
    publish: Callable[[Snapshot], None],
) -> AddReport:
    """Add images, `batch` of them at a step, and tell `publish` what the index is after each.

    With `replace` those are described anew whose content is another, and a file that is not there is no error if the
    index knows it. With `strict` the first ImageError is raised; the steps before it are done.
    """
    report = AddReport()
    done = 0
    with progress("index", len(items)) as tell:
        for group in _batches(items, batch):
            snapshot = _add_batch(writer, snapshot, group, report, replace, strict, n_jobs)
            publish(snapshot)
            snapshot = writer.maintain(snapshot)
            publish(snapshot)
            done += len(group)
            tell(done)
    return report


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in groups of at most `size`, in none of which two are known by the same path."""
    group: dict[str, Item] = {}
    for item in items:
        if len(group) == size or item.key in group:
            yield list(group.values())
            group = {}
        group[item.key] = item
    if group:
        yield list(group.values())


def _add_batch(
    writer: Writer,
    snapshot: Snapshot,
    items: list[Item],
    report: AddReport,
    replace: bool,
    strict: bool,
    n_jobs: int | None,
) -> Snapshot:
    wanted: list[tuple[Item, str]] = []
    replaced: set[int] = set()
    for item, found in zip(items, hash_images([item.image for item in items], n_jobs=n_jobs), strict=True):
        row = snapshot.row_of(item.key)
        if isinstance(found, ImageError):
            if strict:
                raise found
            # An update tells of a known file that is not there as vanished.
            if not (replace and row is not None and item.is_file and not os.path.lexists(name_of(item.image))):
                report.skipped.append(found)
        elif row is None:
            wanted.append((item, found))
        elif snapshot.record(row).sha256 == found:
            report.unchanged.append(item.key)
        elif replace:
            replaced.add(row)
            wanted.append((item, found))
        else:
            report.changed.append(item.key)
    content = _contents(snapshot, wanted, strict=strict, n_jobs=n_jobs)

    described, records, removed = [], [], []
    first_of: dict[str, str] = {}
    for item, sha256 in wanted:
        arrays = content[sha256]
        if isinstance(arrays, ImageError):
            report.skipped.append(ImageError(name_of(item.image), arrays.reason))
            continue
        row = snapshot.row_of(item.key)
        if row is not None:
            removed.append(row)
        (report.added if row is None else report.changed).append(item.key)
        others = (snapshot.record(other).path for other in snapshot.rows_with(sha256) if other not in replaced)
        other = first_of.get(sha256) or next(others, None)
        if other is not None:
            report.copies.append((item.key, other))
        first_of.setdefault(sha256, item.key)
        if _is_empty(arrays, snapshot.layout):
            report.empty.append(item.key)
        described.append(arrays)
        records.append(Record(item.key, sha256, item.is_file))
    if not records:
        return snapshot
    return writer.commit(snapshot, removed=removed, added=Part.of(described, records, snapshot.describer))


def _contents(
    snapshot: Snapshot, wanted: list[tuple[Item, str]], *, strict: bool, n_jobs: int | None
) -> dict[str, dict[str, NDArray[Any]] | ImageError]:
    """Return the description of each content: what the index has of it, or from the first image of it."""
    content: dict[str, dict[str, NDArray[Any]] | ImageError] = {}
    new: dict[str, Item] = {}
    for item, sha256 in wanted:
        if sha256 in content or sha256 in new:
            continue
        rows = snapshot.rows_with(sha256)
        if rows:
            content[sha256] = snapshot.described(rows[0])
        else:
            new[sha256] = item
    tasks = [(item.image, None, None) for item in new.values()]
    results = run(DescribeImage(snapshot.describer), tasks, n_jobs=n_jobs)
    for (sha256, item), result in zip(new.items(), results, strict=True):
        if isinstance(result, ImageError):
            content[sha256] = result
        elif result.sha256 != sha256:
            content[sha256] = ImageError(name_of(item.image), "the file was changed while it was read")
        else:
            content[sha256] = result.arrays
        if strict and isinstance(error := content[sha256], ImageError):
            raise error
    return content


def _is_empty(arrays: dict[str, NDArray[Any]], layout: dict[str, ArraySpec]) -> bool:
    """Whether nothing was found in an image: no features, and no vector that is not zero."""
    return not any(
        len(arrays[name]) if spec.per == "feature" else arrays[name].dtype.kind == "f" and np.any(arrays[name])
        for name, spec in layout.items()
    )
