"""Listing images: a labelled set, of one folder per class or a CSV, and images without labels wherever they lie."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvbow.errors import DatasetError
from cvbow.files import no_such
from cvbow.images.imagelist import ImageList, natural_key, split_name
from cvbow.images.manifest import BETWEEN, read_manifest

_ALWAYS_READ = ".jpg .jpeg .jpe .jfif .mpo .png .apng .gif .tif .tiff .bmp .webp .pbm .pgm .ppm .pnm"
# Where their decoder is missing, these are reported when they are read: to leave them out without a word could hide
# half a data set.
_READ_WITH_A_DECODER = ".avif .heic .heif .hif .jp2 .j2k .jpx .jpf .j2c .jpc"

#: The suffixes, in lower case, of the files that are listed.
IMAGE_SUFFIXES = frozenset(f"{_ALWAYS_READ} {_READ_WITH_A_DECODER}".split())

_JUNK = frozenset(("thumbs.db", "desktop.ini", "__macosx", "@eadir"))
_MAX_DEPTH = 100
_LAYOUT = "DIR/<class>/<image> or DIR/<split>/<class>/<image>"


def list_images(source: str | os.PathLike[str], *, flat: bool = False, several: bool = False) -> ImageList:
    """List the images of a folder or of a CSV, with their labels.

    In a folder, the label is the name of the first folder below the root, however deep the image lies below that.
    Where every folder with images is called ``train``, ``validation`` or ``test`` (or ``training``, ``val``,
    ``valid``, ``testing``; in any case), these are the splits, and the label is the name of the folder below them.
    The order is the natural order of the paths, whatever the file system's. Symbolic links are followed, but a folder
    is listed once: under its own name if that lies below the root, else under that of the first link to it.

    A CSV has the columns ``path,label[,split]``; relative paths are relative to its folder, and rows keep their order.
    A path may occur more than once, but with one label. In place of ``label`` it may have the column ``labels``, with
    ``|`` between the labels of an image, which may have none.

    Parameters
    ----------
    source : path
        A folder, or a file that ends in ``.csv``.
    flat : bool, default False
        Take a folder with images in it and no folders of images as well; the label of its images is empty.
    several : bool, default False
        Take a CSV whose images have several labels as well; their labels are tuples.

    Returns
    -------
    ImageList
        Files are listed by their suffix; one that is not an image is found out when it is read.

    Raises
    ------
    FileNotFoundError
        When there is no such file or folder.
    DatasetError
        When `source` is not laid out as above; the message says what was found instead.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from cvbow import list_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat/1.jpg", "dog/2.jpg", "dog/notes.txt"):
    ...         Path(folder, name).parent.mkdir(exist_ok=True)
    ...         Path(folder, name).touch()
    ...     images = list_images(folder)
    >>> images.labels, images.ignored
    (('cat', 'dog'), 1)
    """
    root = Path(source)
    if root.is_dir():
        return _list_folder(root, flat=flat)
    if not root.exists():
        raise no_such(root)
    if root.suffix.casefold() != ".csv":
        raise DatasetError(root, f"expected a folder, {_LAYOUT}, or a .csv file with the columns path,label[,split]")
    images = _with_one_label_each(root, read_manifest(root))
    if images.multilabel and not several:
        raise DatasetError(root, "its column labels gives images several labels, where each must have one: label")
    return images


def gather_images(sources: Sequence[str | os.PathLike[str]]) -> tuple[tuple[Path, ...], int]:
    """List the images of folders and of CSV files, and single files.

    Parameters
    ----------
    sources : sequence of paths
        A folder gives all images below it, in the natural order of their paths; a file that ends in ``.csv`` those of
        its column ``path``; any other path stands for itself, whether there is such a file or not.

    Returns
    -------
    paths : tuple of Path
        In the order of `sources`, each once.
    ignored : int
        Files and folders that were left out: hidden ones, those that are not images, links to folders listed already.

    Raises
    ------
    DatasetError
        When a folder has no image or cannot be read, or a CSV is not as it should be.
    FileNotFoundError
        When there is no such CSV.
    """
    paths: dict[Path, None] = {}
    ignored = 0
    for source in map(Path, sources):
        if source.is_dir():
            tree = _Walk().read(str(source))
            if not tree.images:
                raise DatasetError(source, f"no images in this folder, {tree.ignored} other files")
            paths.update(dict.fromkeys(map(Path, tree.images)))
            ignored += tree.ignored
        elif source.suffix.casefold() == ".csv":
            paths.update(dict.fromkeys(read_manifest(source).paths))
        else:
            paths[source] = None
    return tuple(paths), ignored


@dataclass(eq=False, slots=True)
class _Folder:
    """One folder: the images that lie directly in it and the folders below it, in natural order of their names."""

    name: str
    entries: list[str | _Folder] = field(default_factory=list)
    left_out: int = 0
    #: Whether it is a link to a folder that has been read under another name.
    again: bool = False

    @property
    def folders(self) -> list[_Folder]:
        return [entry for entry in self.entries if isinstance(entry, _Folder) and not entry.again]

    @property
    def images(self) -> list[str]:
        """Images at any depth, in natural order of their paths."""
        found: list[str] = []
        for entry in self.entries:
            found += entry.images if isinstance(entry, _Folder) else [entry]
        return found

    @property
    def direct(self) -> int:
        return sum(isinstance(entry, str) for entry in self.entries)

    @property
    def ignored(self) -> int:
        return self.left_out + sum(entry.ignored for entry in self.entries if isinstance(entry, _Folder))

    @property
    def has_class_folders(self) -> bool:
        return any(folder.images for folder in self.folders)


def _list_folder(root: Path, *, flat: bool) -> ImageList:
    tree = _Walk().read(str(root))
    filled = [folder for folder in tree.folders if folder.images]
    if flat and tree.direct and not filled:
        n = len(tree.images)
        return ImageList(tuple(map(Path, tree.images)), ("",) * n, (None,) * n, tree.ignored)
    if not filled:
        raise DatasetError(root, f"no class folder with images; expected {_LAYOUT}, found {_contents(tree)}")
    groups: list[tuple[str | None, _Folder]] = [(None, tree)]
    # Files outside every class folder are left out, images or not.
    ignored, empty = tree.ignored + tree.direct, []
    if _holds_splits(root, filled):
        groups = [(split_name(folder.name), folder) for folder in filled]
        ignored += sum(folder.direct for folder in filled)
        empty = [folder.name for folder in tree.folders if not folder.images]

    paths: list[Path] = []
    labels: list[str] = []
    splits: list[str | None] = []
    for split, group in groups:
        for folder in group.folders:
            if not folder.images:
                empty.append(folder.name if split is None else f"{group.name}/{folder.name}")
            paths.extend(map(Path, folder.images))
            labels.extend([folder.name] * len(folder.images))
            splits.extend([split] * len(folder.images))
    return ImageList(tuple(paths), tuple(labels), tuple(splits), ignored, tuple(empty))


def _holds_splits(root: Path, filled: list[_Folder]) -> bool:
    """Whether the folders with images are splits; where that is in doubt, refuse rather than train on wrong labels."""
    named = [folder for folder in filled if split_name(folder.name)]
    others = [folder for folder in filled if not split_name(folder.name)]
    if not others:
        flat = [folder for folder in named if not folder.has_class_folders]
        if flat:
            found = f"images but no class folders in {_names(flat)}"
            raise DatasetError(root, f"expected DIR/<split>/<class>/<image>, found {found}")
        return True
    nested = [folder for folder in named if folder.has_class_folders and not folder.direct]
    if nested:
        found = f"images both in what looks like a split ({_names(nested)}) and beside it ({_names(others)})"
        raise DatasetError(root, f"expected {_LAYOUT}, found {found}; move or rename one of them")
    return False


def _with_one_label_each(source: Path, images: ImageList) -> ImageList:
    labels: dict[str, Any] = {}
    for path, label in zip(images.paths, images.labels, strict=True):
        first = labels.setdefault(os.path.normpath(path), label)
        if first != label:
            names = [other if isinstance(other, str) else BETWEEN.join(other) for other in (first, label)]
            raise DatasetError(source, f"{path} is listed as {names[0]} and as {names[1]}; an image has one label")
    return images


def _names(folders: list[_Folder]) -> str:
    shown = [folder.name for folder in folders[:3]]
    return ", ".join(shown) + (f" and {len(folders) - 3} more" if len(folders) > 3 else "")


def _contents(tree: _Folder) -> str:
    counts = (
        (tree.direct, "image directly in it", "images directly in it"),
        (len(tree.folders), "folder without images", "folders without images"),
        (tree.ignored, "other file", "other files"),
    )
    found = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join(found) or "nothing"


class _Walk:
    """Reads a folder and those below it, each once, under the name that is not a link where it has one.

    Links to folders wait until everything else is read, so that what lies where does not depend on names; and a farm of
    links to each other has no more folders than it has.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[int, int]] = set()
        self.links: deque[tuple[_Folder, str, int]] = deque()

    def read(self, path: str) -> _Folder:
        root = _Folder("")
        self._fill(root, path, 0)
        while self.links:
            folder, path, depth = self.links.popleft()
            self._fill(folder, path, depth)
        return root

    def _fill(self, folder: _Folder, path: str, depth: int) -> None:
        """Read one folder, and below it what is no link."""
        try:
            facts = os.stat(path)
            if (facts.st_dev, facts.st_ino) in self.seen:
                folder.again, folder.left_out = True, 1
                return
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            raise DatasetError(path, f"the folder cannot be read ({(error.strerror or 'error').lower()})") from error
        if depth > _MAX_DEPTH:
            raise DatasetError(path, f"folders are nested more than {_MAX_DEPTH} deep")
        self.seen.add((facts.st_dev, facts.st_ino))
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1]
            if entry.name.startswith(".") or entry.name.casefold() in _JUNK:
                folder.left_out += 1
            elif _is_folder(entry):
                below = _Folder(entry.name)
                folder.entries.append(below)
                if entry.is_symlink():
                    self.links.append((below, entry.path, depth + 1))
                else:
                    self._fill(below, entry.path, depth + 1)
            elif suffix.casefold() in IMAGE_SUFFIXES and (entry.is_symlink() or entry.is_file()):
                folder.entries.append(entry.path)
            else:
                folder.left_out += 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: listed, so that reading reports it
        return False
