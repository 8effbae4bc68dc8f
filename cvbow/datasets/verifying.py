"""Telling whether a data set on this machine is whole and unchanged."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvbow.datasets.images import LabelledImages, fingerprint
from cvbow.datasets.places import Place, load_dataset, locate
from cvbow.datasets.record import hash_files, read_record
from cvbow.errors import DatasetError
from cvbow.files import file_hash
from cvbow.parallel import run


@dataclass(frozen=True)
class Verified:
    """What ``verify`` found about a data set.

    Attributes
    ----------
    place : Place
    n_images, n_classes : int
    fingerprint : str
        SHA-256 over names, labels and contents of the images: what a benchmark's result tells of its data.
    against : {"record", "fingerprint", "counts"}
        What it was compared with: the record of each file from when it was fetched; the known fingerprint; or, where
        there is neither, only the number of images and classes.

    Examples
    --------
    >>> from cvbow.datasets import verify
    >>> found = verify("digits", n_jobs=1)
    >>> found.n_images, found.n_classes, found.against
    (1797, 10, 'fingerprint')
    """

    place: Place
    n_images: int
    n_classes: int
    fingerprint: str
    against: str


def verify(name: str, data_dir: str | os.PathLike[str] | None = None, *, n_jobs: int | None = -1) -> Verified:
    """Check a data set against what is known of it.

    Parameters
    ----------
    name, data_dir
        As for ``locate``.
    n_jobs : int or None, default -1
        Workers that hash the files.

    Raises
    ------
    DatasetError
        That names the first file which is missing, changed or new; or says that the data set is nowhere.
    """
    place = locate(name, data_dir)
    recorded = place.origin == "fetched" and _compare_with_record(place, n_jobs)
    images = load_dataset(place)
    found = fingerprint(images, n_jobs=n_jobs)
    _check_known(place, found)
    known = place.manifest.fingerprint is not None
    against = "record" if recorded else "fingerprint" if known else "counts"
    return Verified(place, len(images), len(images.classes), found, against)


def identify(
    place: Place, images: LabelledImages, *, only: Iterable[int] | None = None, n_jobs: int | None = -1
) -> str:
    """Return the fingerprint of a data set for a result, and refuse one that has changed since it was fetched.

    Parameters
    ----------
    place : Place
    images : LabelledImages
        From ``load_dataset(place)``.
    only : iterable of int, optional
        Positions of the images to look at; otherwise all of them.
    n_jobs : int or None, default -1
        Workers that hash the files.

    Raises
    ------
    DatasetError
        That names a changed file.
    """
    record = read_record(place.root.parent) if place.origin == "fetched" else None
    expected = {} if record is None else record.paths(place.root)
    # What is not an image may hold the images, their labels, or the splits.
    others = sorted(set(expected).difference(image for image in images.images if isinstance(image, Path)))
    missing = next((path for path in others if not path.is_file()), None)
    if missing is not None:
        raise DatasetError(missing, "the file is missing")
    for path, found in zip(others, run(file_hash, others, n_jobs=n_jobs), strict=True):
        _check_file(path, found, expected[path])
    whole = fingerprint(images, only=only, expected=expected, n_jobs=n_jobs)
    if only is None:
        _check_known(place, whole)
    return whole


def _compare_with_record(place: Place, n_jobs: int | None) -> bool:
    record = read_record(place.root.parent)
    if record is None:
        return False
    for name in record.files:
        if not (place.root / name).is_file():
            raise DatasetError(place.root / name, "the file is missing")
    for name, found in hash_files(place.root, n_jobs=n_jobs).items():
        if name not in record.files:
            raise DatasetError(place.root / name, "the file was not there when the data set was fetched")
        _check_file(place.root / name, found, record.files[name])
    return True


def _check_file(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise DatasetError(path, f"the file has changed: its SHA-256 is {found}, expected {expected}")


def _check_known(place: Place, found: str) -> None:
    expected = place.manifest.fingerprint
    if expected is not None and found != expected:
        raise DatasetError(place.root, f"the images are not the known ones: their SHA-256 is {found}, not {expected}")
