"""Where data sets lie on this machine: where the user says, in CVBOW_DATA, or in the cache that ``fetch`` fills."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from cvbow.datasets.catalog import Manifest, find_dataset
from cvbow.datasets.images import LabelledImages
from cvbow.errors import DatasetError
from cvbow.files import no_such


@dataclass(frozen=True)
class Place:
    """A data set on this machine.

    Attributes
    ----------
    manifest : Manifest
    root : Path
        Its folder; of a data set that comes with a package, that package's name.
    origin : {"given", "CVBOW_DATA", "fetched", "installed"}

    Examples
    --------
    >>> from cvbow.datasets import locate
    >>> place = locate("digits")
    >>> place.origin, str(place.root)
    ('installed', 'scikit-learn')
    """

    manifest: Manifest
    root: Path
    origin: str


def cache_folder() -> Path:
    """Return the folder for fetched data sets: CVBOW_CACHE, or ``cvbow`` where the system keeps a user's caches."""
    named = os.environ.get("CVBOW_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "cvbow" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cvbow"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cvbow"


def locate(name: str, data_dir: str | os.PathLike[str] | None = None) -> Place:
    """Find a data set.

    Parameters
    ----------
    name : str
        Of a manifest.
    data_dir : path, optional
        Its folder; looked at in place, and nowhere else. Otherwise ``$CVBOW_DATA/<name>`` (or another name that the
        folder goes by), then the cache.

    Raises
    ------
    FileNotFoundError
        If there is no folder `data_dir`.
    DatasetError
        If the data set is nowhere; the message says how to get it.
    ValueError
        If there is no data set of that name.
    """
    manifest = find_dataset(name)
    if not manifest.layout.needs_folder:
        if data_dir is not None:
            raise ValueError(f"{name} comes with scikit-learn and is not read from a folder, got {os.fspath(data_dir)}")
        return Place(manifest, Path("scikit-learn"), "installed")
    if data_dir is not None:
        root = Path(data_dir)
        if not root.is_dir():
            raise no_such(root, "folder")
        return Place(manifest, root, "given")
    named = os.environ.get("CVBOW_DATA")
    for folder in manifest.folders if named else ():
        if (Path(named or "") / folder).is_dir():
            return Place(manifest, Path(named or "") / folder, "CVBOW_DATA")
    fetched = cache_folder() / name / "data"
    if fetched.is_dir():
        return Place(manifest, fetched, "fetched")
    raise DatasetError(manifest.title, _how_to_get(manifest))


def load_dataset(place: Place) -> LabelledImages:
    """List the images of a data set.

    Raises
    ------
    DatasetError
        If they do not lie as they should, or are not as many as they should be.

    Examples
    --------
    >>> from cvbow.datasets import load_dataset, locate
    >>> images = load_dataset(locate("digits"))
    >>> len(images), images.images[0].shape
    (1797, (8, 8))
    """
    manifest = place.manifest
    images = manifest.layout.load(place.root)
    found, expected = (len(images), len(images.classes)), (manifest.n_images, manifest.n_classes)
    if found != expected:
        reason = (
            f"{manifest.title} has {expected[0]} images in {expected[1]} classes; here are {found[0]} in {found[1]}"
        )
        raise DatasetError(place.root, reason)
    return images


def _how_to_get(manifest: Manifest) -> str:
    name = manifest.name
    have = f"use a copy that you have with --data DIR, or with CVBOW_DATA=FOLDER for a FOLDER/{name}"
    if not manifest.files:
        return f"the data set is not on this machine and cannot be fetched: {manifest.notes}; {have}"
    size = sum(file.n_bytes or 0 for file in manifest.files)
    megabytes = f", {size / 1e6:.0f} MB" if size else ""
    origin = manifest.files[0].urls[0]
    return f"the data set is not on this machine; run: cvbow data fetch {name} ({origin}{megabytes}); or {have}"
