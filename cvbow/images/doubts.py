"""What looks wrong with how a labelled set is laid out, said in a line each before anything is learned from it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from cvbow.errors import ImageError
from cvbow.images.imagelist import ImageList
from cvbow.images.reading import content_hash

#: Names of folders that say what files are, not what is on them.
_OF_FILES = {
    *("annotations", "data", "files", "images", "img", "imgs", "jpegimages", "jpg", "labels", "masks", "photos"),
    *("pictures", "png", "thumbnails"),
}
#: Names that are said.
_SAID = 3


def layout_doubts(source: str | os.PathLike[str], images: ImageList) -> list[str]:
    """Say what makes a set look as if it were no folder of classes, or its splits none of one set.

    Parameters
    ----------
    source : path
        What `images` were listed from.
    images : ImageList
        All of them, with their splits.

    Returns
    -------
    list of str
        A line for each doubt: class folders that are called after kinds of files; folders in the only class, or the
        same ones in each class, which may be the classes; a split that has images of train, byte for byte, or no class
        of it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cvbow import ImageList
    >>> from cvbow.images import layout_doubts
    >>> paths = [Path("set", folder, "1.jpg") for folder in ("images", "masks")]
    >>> layout_doubts("set", ImageList(tuple(paths), ("images", "masks"), (None, None)))
    ['the classes are called images, masks: is this a folder of classes?']
    """
    doubts: list[str] = []
    if not os.path.isfile(source) and not images.multilabel:
        doubts += _folder_doubts(source, images)
    splits: dict[str, list[int]] = defaultdict(list)
    for row, split in enumerate(images.splits):
        if split is not None:
            splits[split].append(row)
    train = splits.pop("train", [])
    for split, rows in splits.items():
        if train:
            doubts += _split_doubts(images, train, split, rows)
    return doubts


def _same_files(paths: Sequence[Path], others: Iterable[Path]) -> list[Path]:
    """Return those of some files that have the bytes of one of others; files that cannot be read have none."""
    sizes = defaultdict(list)
    for other in others:
        sizes[_size(other)].append(other)
    hashes: dict[int, set[str]] = {}
    found = []
    for path in paths:
        size = _size(path)
        if size is None or size not in sizes:
            continue
        if size not in hashes:
            hashes[size] = {digest for other in sizes[size] if (digest := _digest(other)) is not None}
        if _digest(path) in hashes[size]:
            found.append(path)
    return found


def _folder_doubts(source: str | os.PathLike[str], images: ImageList) -> list[str]:
    classes = images.classes
    below: dict[str, set[str]] = {name: set() for name in classes}
    n_below = 0
    for path, label, split in zip(images.paths, images.labels, images.splits, strict=True):
        inner = os.path.relpath(path, source).split(os.sep)[1 if split is None else 2 :]
        if len(inner) > 1:
            below[label].add(inner[0])
            n_below += 1
    if len(classes) == 1 and len(below[classes[0]]) > 1 and n_below == len(images):
        held = _names(sorted(below[classes[0]]))
        return [
            f"the only class is {classes[0]}, and in it are the folders {held}: is {classes[0]} the folder of classes?"
        ]
    if all(name.casefold() in _OF_FILES for name in classes):
        return [f"the classes are called {_names(classes)}: is this a folder of classes?"]
    common = set.intersection(*below.values()) if below else set()
    # Two or more in every class, and hardly an image beside them.
    if len(classes) > 1 and len(common) > 1 and n_below > 0.9 * len(images):
        return [f"each class has the same folders {_names(sorted(common))}: are these the classes?"]
    return []


def _split_doubts(images: ImageList, train: Sequence[int], split: str, rows: Sequence[int]) -> list[str]:
    doubts = []
    learned, judged = ({name for row in part for name in _labels(images, row)} for part in (train, rows))
    if learned and judged and not learned & judged:
        doubts.append(f"no class of {split} is one of train: they are {_names(sorted(judged))}")
    paths = [images.paths[row] for row in rows]
    shared = _same_files(paths, [images.paths[row] for row in train])
    if len(shared) == len(paths):
        doubts.append(f"{split} is part of train: all {len(paths)} of its images are there, byte for byte")
    elif shared:
        doubts.append(f"{len(shared)} images of {split} are also in train, byte for byte; cvbow audit lists them")
    return doubts


def _labels(images: ImageList, row: int) -> Sequence[str]:
    label = images.labels[row]
    return [label] if isinstance(label, str) else label


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_SAID]) + (f" and {len(names) - _SAID} more" if len(names) > _SAID else "")


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _digest(path: Path) -> str | None:
    try:
        return content_hash(path)
    except (ImageError, OSError):
        return None
